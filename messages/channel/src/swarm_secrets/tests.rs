use proptest::prelude::*;

use super::*;

fn secret(byte: u8) -> SwarmSecret {
    SwarmSecret::from_bytes([byte; 32])
}

/// What is written in files and password stores has to be read by every later version.
#[test]
fn a_secret_has_this_text_and_this_fingerprint() {
    let zeros = secret(0);
    assert_eq!(&*zeros.text(), "riffle-secret1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaod3dgia");
    assert_eq!(zeros.fingerprint(), "7iuc-5dq6-aqv6-u6wx");
    assert_eq!(zeros.text().len(), 73);
    assert_ne!(secret(1).fingerprint(), zeros.fingerprint());
}

#[test]
fn what_is_no_secret_is_told_from_what_is_damaged_or_of_a_later_version() {
    let text = secret(7).text();
    let cases = [
        ("", ParseSecretError::NotASecret),
        ("riffle1ae7hydl5", ParseSecretError::NotASecret),
        ("riffle-secret-1", ParseSecretError::NotASecret),
        ("riffle-secretx-1", ParseSecretError::NotASecret),
        ("riffle-secret2-abc", ParseSecretError::LaterVersion),
        ("riffle-secret1-", ParseSecretError::Damaged),
        (&text[..text.len() - 1], ParseSecretError::Damaged),
        (&format!("{}a", *text), ParseSecretError::Damaged),
        (&text.replace("secret1-", "secret1-\u{e4}"), ParseSecretError::Damaged),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<SwarmSecret>(), Err(expected), "{text}");
    }
}

#[test]
fn a_list_of_secrets_is_read_and_its_mistakes_are_named_by_line_and_not_quoted() {
    let [new, old] = [secret(1), secret(2)].map(|secret| secret.text().to_string());
    let read = |text: &str| text.parse::<SwarmSecrets>();
    let one = read(&format!("\n  {new}\r\n\n")).expect("one");
    assert_eq!(one, SwarmSecrets::from(secret(1)));
    let two = read(&format!("{new}\n{old} secret-until=99\n")).expect("two");
    assert_eq!((two.first(), two.older()), (&secret(1), &[OlderSecret { secret: secret(2), until: 99 }][..]));
    let many = format!("{new}\n") + &format!("{old} secret-until=9\n").repeat(MAX_SECRETS);
    let damaged = ParseSecretsError::Secret { line: 2, cause: ParseSecretError::Damaged };
    let cases = [
        (" \n\n".to_owned(), ParseSecretsError::Empty),
        (format!("{new} secret-until=1"), ParseSecretsError::FirstHasEnd { line: 1 }),
        (format!("{new}\n{old}"), ParseSecretsError::Until { line: 2 }),
        (format!("{new}\n{old} until=3"), ParseSecretsError::Until { line: 2 }),
        (format!("{new}\n{old} secret-until=+3"), ParseSecretsError::Until { line: 2 }),
        (format!("{new}\n{old} secret-until="), ParseSecretsError::Until { line: 2 }),
        (format!("{new}\n{old} secret-until=3 4"), ParseSecretsError::Until { line: 2 }),
        (format!("{new}\n{}", &old[..70]), damaged),
        (many, ParseSecretsError::TooMany),
    ];
    for (text, expected) in cases {
        let error = read(&text).expect_err("refused");
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains(&old[15..40]), "{error}");
    }
}

#[test]
fn a_rotation_keeps_the_former_secrets_until_their_overlap_ends() {
    let secrets = SwarmSecrets::from(secret(1)).rotated(secret(2), 100).rotated(secret(3), 50);
    let bytes = |secrets: &SwarmSecrets| secrets.iter().map(|secret| secret.bytes()[0]).collect::<Vec<_>>();
    assert_eq!(bytes(&secrets), [3, 2, 1]);
    assert_eq!(bytes(&secrets.clone().at(49)), [3, 2, 1]);
    assert_eq!(bytes(&secrets.at(50)), [3], "none is good for longer than the last rotation says");
    let secrets = (2..30).fold(SwarmSecrets::from(secret(1)), |all, byte| all.rotated(secret(byte), 100));
    assert_eq!(bytes(&secrets), [29, 28, 27, 26, 25, 24, 23, 22]);
}

#[test]
fn nothing_but_its_text_shows_a_secret() {
    let secrets = SwarmSecrets::from(secret(0xab)).rotated(secret(0xcd), 7);
    let shown = format!("{secrets:?} {:#?} {}", secrets.first(), secrets.first().fingerprint());
    for secret in secrets.iter() {
        assert!(!shown.contains(&secret.text()[15..]), "{shown}");
    }
    assert!(!shown.contains("ab, ab") && !shown.contains("171, 171") && !shown.contains("abab"), "{shown}");
}

proptest! {
    #[test]
    fn a_secret_has_one_text(bytes: [u8; 32], place in 0_usize..73, letter in "[ -~]") {
        let secret = SwarmSecret::from_bytes(bytes);
        let text = secret.text();
        prop_assert_eq!(&text.parse::<SwarmSecret>(), &Ok(secret));
        let mut other = text.to_string();
        other.replace_range(place..=place, &letter);
        if other != *text {
            prop_assert!(other.parse::<SwarmSecret>().is_err());
        }
    }

    #[test]
    fn any_text_is_a_list_of_secrets_or_a_mistake(text in "(riffle-secret[0-9]-|[a-z2-7]{58}|secret-until=|[0-9 \n\r\t#])*") {
        if let Ok(secrets) = text.parse::<SwarmSecrets>() {
            prop_assert_eq!(secrets.text().parse::<SwarmSecrets>(), Ok(secrets));
        }
    }

    #[test]
    fn every_list_reads_back(first: [u8; 32], older in prop::collection::vec(any::<([u8; 32], u64)>(), 0..MAX_SECRETS)) {
        let of = |bytes| SwarmSecret::from_bytes(bytes);
        let older = older.into_iter().map(|(bytes, until)| OlderSecret { secret: of(bytes), until });
        let secrets = SwarmSecrets { first: of(first), older: older.collect() };
        prop_assert_eq!(&secrets.text().parse::<SwarmSecrets>(), &Ok(secrets));
    }
}
