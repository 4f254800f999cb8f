//! One truth in four forms. From one list of fields, each with its doc comment, type and default, the macro makes the
//! struct, its `Default`, its reading from TOML and the annotated TOML text.

use crate::document::Table;

/// The text of a whole file of annotated defaults.
pub(crate) fn annotated<T: Table>(heading: &[&str]) -> String {
    let mut toml = String::new();
    comment(heading, &mut toml);
    T::annotate("", &mut toml);
    toml
}

/// Adds one key with its comment. A setting without a value is shown by an example that is commented out.
pub(crate) fn annotate_key(doc: &[&str], key: &str, value: Option<String>, example: &str, toml: &mut String) {
    toml.push('\n');
    comment(doc, toml);
    match value {
        Some(value) => toml.push_str(&format!("{key} = {value}\n")),
        None => toml.push_str(&format!("#{key} = {example}\n")),
    }
}

/// Adds a table's heading with its comment, and the table.
pub(crate) fn annotate_table<T: Table>(doc: &[&str], path: &str, toml: &mut String) {
    toml.push('\n');
    comment(doc, toml);
    toml.push_str(&format!("[{path}]\n"));
    T::annotate(&format!("{path}."), toml);
}

fn comment(doc: &[&str], toml: &mut String) {
    doc.iter().for_each(|line| toml.push_str(&format!("#{line}\n")));
}

/// Declares a struct of settings.
///
/// A field is `name: Type = default;`, then optionally `within FROM..=TO` (its range) or `such as EXAMPLE`
/// (the TOML of an example, for a setting that has no default). The tables of a file follow its plain keys.
macro_rules! settings {
    (
        $(#[doc = $struct_doc:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                pub $field:ident: $kind:ty = $default:expr $(, within $range:expr)? $(, such as $example:literal)?;
            )*
            $( tables {
                $(
                    $(#[doc = $table_doc:literal])*
                    pub $table:ident: $table_kind:ty;
                )*
            } )?
        }
    ) => {
        $(#[doc = $struct_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $kind, )*
            $( $( $(#[doc = $table_doc])* pub $table: $table_kind, )* )?
        }

        impl Default for $name {
            fn default() -> $name {
                $name {
                    $( $field: $default, )*
                    $( $( $table: <$table_kind>::default(), )* )?
                }
            }
        }

        impl $crate::document::Table for $name {
            fn read(
                document: &$crate::document::Document<'_>,
                path: &str,
                entries: toml::de::DeTable<'_>,
            ) -> Result<$name, $crate::ConfigError> {
                let mut settings = $name::default();
                for (place, value) in document.entries(path, entries) {
                    match place.name() {
                        $( stringify!($field) => {
                            let value: $kind = place.value(value)?;
                            $( place.within(&value, &$range)?; )?
                            settings.$field = value;
                        } )*
                        $( $( stringify!($table) => settings.$table = place.table(value)?, )* )?
                        _ => return Err(place.unknown()),
                    }
                }
                Ok(settings)
            }

            fn list_keys(path: &str, keys: &mut Vec<String>) {
                $( keys.push(format!("{path}{}", stringify!($field))); )*
                $( $(
                    let table = format!("{path}{}", stringify!($table));
                    <$table_kind as $crate::document::Table>::list_keys(&format!("{table}."), keys);
                    keys.push(table);
                )* )?
                let _ = path;
            }

            fn annotate(path: &str, toml: &mut String) {
                use $crate::setting::Setting;
                let defaults = $name::default();
                $(
                    let example = concat!($($example)?);
                    let value = defaults.$field.to_toml();
                    $crate::settings::annotate_key(&[$($doc),*], stringify!($field), value, example, toml);
                )*
                $( $(
                    let table = format!("{path}{}", stringify!($table));
                    $crate::settings::annotate_table::<$table_kind>(&[$($table_doc),*], &table, toml);
                )* )?
                let _ = path;
            }
        }
    };
}
