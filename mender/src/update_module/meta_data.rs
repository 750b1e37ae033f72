//! Single values out of an artifact's meta-data, for modules that need no more. Depends on the crate's JSON, byte by byte.

use super::Artifact;
use crate::json::{Json, Token};

impl<'a> Artifact<'a> {
    /// The value of a member of the meta-data, as it is written there: a string without its quotes, and with its escapes; a number,
    /// `true`, `false` or `null`. `None` if there is no such member, or it is an object or a list. Members of members are not
    /// looked at.
    ///
    /// ```
    /// # use mender::update_module::Artifact;
    /// let artifact = Artifact {
    ///     name: "release-2",
    ///     payload_type: "lamp",
    ///     meta_data: Some(r#"{"colour": "red", "from": {"level": 1}, "level": 12}"#),
    /// };
    /// assert_eq!(artifact.member("colour"), Some("red"));
    /// assert_eq!(artifact.member("level"), Some("12"));
    /// assert_eq!(artifact.member("from"), None);
    /// ```
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&'a str> {
        let text = self.meta_data?;
        let mut json = Json::new();
        let (mut start, mut is_next) = (0, false);
        for (at, byte) in text.bytes().enumerate() {
            match json.push(byte).ok()? {
                Token::Quote => start = at + 1,
                Token::Key => is_next = json.depth == 1 && text.get(start..at) == Some(name),
                Token::String if is_next => return text.get(start..at),
                // How they end is not told.
                Token::Number | Token::Bool | Token::Null if is_next => {
                    let rest = text.get(at..)?;
                    let len = rest
                        .bytes()
                        .position(|byte| matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))?;
                    return rest.get(..len);
                }
                Token::ObjectStart | Token::ListStart if is_next => return None,
                Token::ObjectStart
                | Token::ListStart
                | Token::String
                | Token::Number
                | Token::Bool
                | Token::Null
                | Token::ObjectEnd
                | Token::ListEnd
                | Token::End
                | Token::Character
                | Token::Nothing => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &'static str, name: &str) -> Option<&'static str> {
        let artifact = Artifact {
            name: "a",
            payload_type: "t",
            meta_data: Some(text),
        };
        artifact.member(name)
    }

    #[test]
    fn members_as_they_are_written() {
        let text = r#"{"a":1,"b" : "x\"y" ,"c":-2.5e3
            ,"d":true,"e":null,"":"","f":false }"#;
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some(r#"x\"y"#)),
            ("c", Some("-2.5e3")),
            ("d", Some("true")),
            ("e", Some("null")),
            ("", Some("")),
            ("f", Some("false")),
            ("g", None),
        ] {
            assert_eq!(member(text, name), value, "{name}");
        }
    }

    #[test]
    fn only_those_of_the_object_itself() {
        let text = r#"{"o":{"a":1,"o":2},"l":["a",{"a":3}],"x":"a","a":"4"}"#;
        assert_eq!(member(text, "a"), Some("4"));
        assert_eq!(member(text, "o"), None);
        assert_eq!(member(text, "l"), None);
    }

    #[test]
    fn what_is_no_json_has_none() {
        for text in ["", "{", r#"{"a"1}"#, r#"{"a":1"#, r#"["a",1]"#] {
            assert_eq!(member(text, "a"), None, "{text}");
        }
        let none = Artifact {
            name: "a",
            payload_type: "t",
            meta_data: None,
        };
        assert_eq!(none.member("a"), None);
    }
}
