//! Gets a secret from where the configuration says it is. Nothing of it is in an error.

use crate::domain::secret::SecretSource;
use secrecy::{ExposeSecret, SecretString};

/// The secret; the error says where it is not.
pub fn get(source: &SecretSource) -> Result<SecretString, String> {
    let text = match source {
        SecretSource::Literal(secret) => secret.expose_secret().to_owned(),
        SecretSource::Env(name) => std::env::var(name)
            .map_err(|_| format!("the environment has no {name}, which holds this secret"))?,
        SecretSource::File(path) => std::fs::read_to_string(path).map_err(|error| {
            format!("{}, which holds this secret, cannot be read: {error}", path.display())
        })?,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("this secret is empty".to_owned());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_is_none() {
        let got = |text: &str| get(&SecretSource::Literal(text.into()));
        assert!(got("s3cret").is_ok_and(|secret| secret.expose_secret() == "s3cret"));
        assert_eq!(got("").err().as_deref(), Some("this secret is empty"));
        let nowhere = get(&SecretSource::Env("MATAMAT_TEST_NOT_SET".into())).expect_err("not set");
        assert!(nowhere.contains("MATAMAT_TEST_NOT_SET"), "{nowhere}");
    }
}
