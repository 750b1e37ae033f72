//! Lines `key=value`: what identity and inventory scripts print, and what stands in a device type file. As the Linux client reads
//! them: the first `=` divides, a key that comes several times has several values.

/// A key with its values, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Not empty.
    pub key: String,
    /// At least one.
    pub values: Vec<String>,
}

/// Reads a text of such lines. Empty lines are skipped.
///
/// # Errors
///
/// The first line that is none.
pub fn parse(text: &str) -> Result<Vec<Attribute>, String> {
    let mut attributes = Vec::new();
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        if line.trim().is_empty() {
            continue;
        }
        let (key, value) = pair(line)?;
        add(&mut attributes, key, value);
    }
    Ok(attributes)
}

/// Adds a value to those that its key has.
pub fn add(attributes: &mut Vec<Attribute>, key: String, value: String) {
    match attributes.iter_mut().find(|attribute| attribute.key == key) {
        Some(attribute) => attribute.values.push(value),
        None => attributes.push(Attribute {
            key,
            values: vec![value],
        }),
    }
}

/// One pair. Spaces around the key are dropped, the value is taken as it is.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn pair(line: &str) -> Result<(String, String), String> {
    match line.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        Some(_) => Err(format!("there is no key in front of the `=` in `{line}`")),
        None => Err(format!("expected KEY=VALUE, found `{line}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, values: &[&str]) -> Attribute {
        Attribute {
            key: key.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[test]
    fn a_key_may_come_several_times() {
        let text = "a=1\nb=x=y\r\n\n  \na=2\nc=\na=3";
        assert_eq!(
            parse(text),
            Ok(vec![
                attribute("a", &["1", "2", "3"]),
                attribute("b", &["x=y"]),
                attribute("c", &[""]),
            ])
        );
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn a_line_that_is_no_pair_is_named() {
        for line in ["nothing", "=x", " =x"] {
            let error = parse(&format!("a=1\n{line}\n")).unwrap_err();
            assert!(error.contains(&format!("`{line}`")), "{error}");
        }
    }
}
