//! Settings that are written as text: what makes a type with `FromStr` and `Display` one of them.

/// Gives a type with `FromStr` and `Display` its `Deserialize` (from a string or a plain number) and its [`Setting`].
macro_rules! written_as_text {
    ($kind:ty, $wanted:literal) => {
        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$kind, D::Error> {
                deserializer.deserialize_any($crate::setting::Written::new($wanted))
            }
        }

        impl $crate::setting::Setting for $kind {
            fn from_value(value: toml::Spanned<toml::de::DeValue<'_>>) -> Result<$kind, String> {
                $crate::setting::deserialize(value)
            }

            fn to_toml(&self) -> Option<String> {
                Some($crate::setting::quoted(&self.to_string()))
            }
        }
    };
}
pub(crate) use written_as_text;
