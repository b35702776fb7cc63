use super::*;

/// The vectors of Openwall's crypt_blowfish (`wrapper.c`). For valid UTF-8 without NUL the three versions
/// name the same computation: they were told apart to mark implementations with a fixed bug.
const VECTORS: [(&str, &str); 4] = [
    ("U*U", "05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("U*U*", "05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    ("U*U*U", "05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    ("", "05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
];

fn check(stored: &str, password: &str) -> Result<Verdict, PasswordError> {
    verify(Some(&stored.into()), &password.into())
}

#[test]
fn a_new_hash_is_argon2id_of_the_stated_cost_and_verifies() {
    let stored = hash(&"correct horse".into()).unwrap();
    assert!(stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.expose());
    assert_eq!(check(stored.expose(), "correct horse"), Ok(Verdict::Match { needs_rehash: false }));
    assert_eq!(check(stored.expose(), "Correct horse"), Ok(Verdict::Mismatch));
    assert_ne!(hash(&"correct horse".into()).unwrap().expose(), stored.expose(), "salts differ");
}

#[test]
fn legacy_bcrypt_verifies_under_its_three_names_and_asks_for_a_rehash() {
    for (password, rest) in VECTORS {
        for version in ["2a", "2b", "2y"] {
            let stored = format!("${version}${rest}");
            assert_eq!(check(&stored, password), Ok(Verdict::Match { needs_rehash: true }), "{stored}");
            assert_eq!(check(&stored, "U*u"), Ok(Verdict::Mismatch), "{stored}");
        }
    }
}

#[test]
fn legacy_bcrypt_reads_72_bytes_as_the_old_systems_did() {
    let stored = bcrypt::hash_with_salt("a".repeat(80), 4, [1; 16]).unwrap().to_string();
    assert_eq!(check(&stored, &"a".repeat(72)), Ok(Verdict::Match { needs_rehash: true }));
    assert_eq!(check(&stored, &"a".repeat(71)), Ok(Verdict::Mismatch));
}

#[test]
fn hashes_of_other_forms_or_excessive_cost_are_refused() {
    let bcrypt = VECTORS[0].1;
    let argon2 =
        |head: &str| format!("{head}$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    for stored in [
        String::new(),
        "plain".to_owned(),
        format!("$2x${bcrypt}"),
        format!("$2b${}", bcrypt.replacen("05", "31", 1)),
        format!("$2b${}", bcrypt.replacen("05", "13", 1)),
        format!("$2b${}", &bcrypt[..40]),
        argon2("$argon2i$v=19$m=19456,t=2,p=1"),
        argon2("$argon2id$v=19$m=4194304,t=2,p=1"),
        argon2("$argon2id$v=19$m=19456,t=1000,p=1"),
        argon2("$argon2id$v=19$m=65536,t=4,p=1"),
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA".to_owned(),
    ] {
        assert_eq!(check(&stored, "U*U"), Err(PasswordError::StoredHash), "{stored}");
    }
}

#[test]
fn an_argon2id_hash_of_another_cost_verifies_and_asks_for_a_rehash() {
    let params = Params::new(12 * 1024, 3, 1, None).unwrap();
    let stored: PasswordHash = Argon2::default()
        .hash_password_customized(b"secret", &[9; 16], Some("argon2id"), Some(19), params)
        .unwrap();
    assert_eq!(check(&stored.to_string(), "secret"), Ok(Verdict::Match { needs_rehash: true }));
}

#[test]
fn the_work_of_a_hash_is_told_in_hashes_of_the_current_kind() {
    let bcrypt = |cost: &str| Secret::new(format!("$2b${}", VECTORS[0].1.replacen("05", cost, 1)));
    let argon2 = |cost: &str| {
        let rest = "$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        Secret::new(format!("$argon2id$v=19$m={cost},p=1{rest}"))
    };
    assert_eq!(work(&hash(&"correct horse".into()).unwrap()), 1);
    assert_eq!(["05", "10", "11", "12", "13"].map(|cost| work(&bcrypt(cost))), [1, 2, 5, 11, 1]);
    assert_eq!(
        ["19456,t=2", "47104,t=1", "65536,t=3", "65536,t=4"].map(|cost| work(&argon2(cost))),
        [1, 3, 11, 1]
    );
}

#[test]
fn an_unknown_account_and_an_endless_password_mismatch() {
    assert_eq!(verify(None, &"anything".into()), Ok(Verdict::Mismatch));
    assert_eq!(check("$2b$05$ignored", &"a".repeat(1_000_000)), Ok(Verdict::Mismatch));
}

#[tokio::test]
async fn failures_of_every_kind_are_held_back_and_successes_are_not() {
    let floor = Duration::from_millis(400);
    let legacy = Secret::new(format!("$2b${}", VECTORS[0].1));
    let current = hash_blocking(&"right".into()).await.unwrap();
    for stored in [None, Some(&legacy), Some(&current), Some(&Secret::from("broken"))] {
        let started = Instant::now();
        assert!(!matches!(verify_equalised(stored, &"wrong".into(), floor).await, Ok(Verdict::Match { .. })));
        assert!(started.elapsed() >= floor);
    }
    let started = Instant::now();
    let verdict = verify_equalised(Some(&current), &"right".into(), Duration::from_secs(60)).await;
    assert_eq!(verdict, Ok(Verdict::Match { needs_rehash: false }));
    assert!(started.elapsed() < Duration::from_secs(30));
}
