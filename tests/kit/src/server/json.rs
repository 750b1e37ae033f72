//! JSON the way Go's `encoding/json` reads and writes it.

use serde_json::{Map, Value};

/// Text of a JSON value with Go's escapes: `&`, `<`, `>`, U+2028 and U+2029 become `\uXXXX`.
///
/// Those characters occur only inside strings, so that replacing them in the finished text is exact.
pub(crate) fn to_go_string(value: &Value) -> String {
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", character as u32)),
            other => text.push(other),
        }
    }
    text
}

/// Reads JSON; invalid UTF-8 becomes U+FFFD as in Go.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|error| error.to_string())
}

/// The value of a key, found without regard to case; the last one when there are several.
pub(crate) fn get<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    object
        .iter()
        .rfind(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

/// An optional string: absent and `null` are the empty string, another type is an error, as in a Go struct.
pub(crate) fn string(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    match get(object, key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!(
            "json: cannot unmarshal into Go struct field {key} of type string"
        )),
    }
}

/// The value in canonical form: keys sorted, no white space, numbers through a 64-bit float.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
            let inner: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", to_go_string(&Value::String(key.clone())), canonical(value)))
                .collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), go_float),
        Value::Null | Value::Bool(_) | Value::String(_) => to_go_string(value),
    }
}

/// Text of a float as Go writes it: an exponent only below 1e-6 and from 1e21 on.
fn go_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        }
    } else {
        format!("{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_characters_are_escaped() {
        let value = serde_json::json!({"uri": "a?b=1&c=<2>\u{2028}\"é\n"});
        assert_eq!(
            to_go_string(&value),
            "{\"uri\":\"a?b=1\\u0026c=\\u003c2\\u003e\\u2028\\\"é\\n\"}"
        );
    }

    #[test]
    fn canonical_form_sorts_keys_and_reads_numbers_as_floats() {
        let value =
            read(br#" { "b" : [1.0, 2.50, 1e3, 1e21, 1e-7, -0.5], "a": {"z":null,"y":true}, "A":"&" } "#).unwrap();
        assert_eq!(
            canonical(&value),
            r#"{"A":"\u0026","a":{"y":true,"z":null},"b":[1,2.5,1000,1e+21,1e-7,-0.5]}"#
        );
    }

    #[test]
    fn keys_match_without_case_and_the_last_one_wins() {
        let value = read(br#"{"Status":"a","STATUS":"b"}"#).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(string(object, "status"), Ok("b".to_owned()));
        assert_eq!(string(object, "other"), Ok(String::new()));
    }
}
