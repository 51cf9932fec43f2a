//! Which names a topic may have.

use std::collections::BTreeMap;
use std::ops::Bound;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_storage::NAME_LEN_MAX;

use super::plan::Refusal;

/// The longest name: folders end in a dash and a partition number besides.
const LENGTH_MAX: usize = 249;

/// Says why no topic can have this name, in Kafka's words.
///
/// # Errors
/// `INVALID_TOPIC_EXCEPTION`.
pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        // Kafka counts UTF-16 units; where that differs the name is illegal in any case.
        _ if name.chars().count() > LENGTH_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
        }
        _ if !name.bytes().all(is_legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
        _ => return Ok(()),
    };
    let message = format!("Topic name is invalid: {reason}");
    Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message))
}

/// Refuses a partition that could have no folder.
///
/// # Errors
/// `INVALID_PARTITIONS`.
pub(super) fn check_folder(name: &str, last: usize) -> Result<(), Refusal> {
    let length = format!("{name}-{last}").len();
    if length <= NAME_LEN_MAX {
        return Ok(());
    }
    let message = format!(
        "The folder of partition {last} would have a name of {length} letters, and \
         {NAME_LEN_MAX} are possible."
    );
    Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message))
}

/// The topic whose name would be the same one if dots were underscores, as they are in the names
/// of metrics.
pub(super) fn collision<'a, T>(topics: &'a BTreeMap<Str, T>, name: &str) -> Option<&'a Str> {
    if name.contains(['.', '_']) { alike(topics, "", name) } else { None }
}

/// The topic whose name goes on like `rest` after `beginning`, dots and underscores being one.
fn alike<'a, T>(topics: &'a BTreeMap<Str, T>, beginning: &str, rest: &str) -> Option<&'a Str> {
    let Some((text, rest)) = rest.split_once(['.', '_']) else {
        let name = format!("{beginning}{rest}");
        return topics.get_key_value(name.as_str()).map(|(known, _)| known);
    };
    [".", "_"].into_iter().find_map(|mark| {
        let beginning = format!("{beginning}{text}{mark}");
        let from = (Bound::Included(beginning.as_str()), Bound::Unbounded);
        let (next, _) = topics.range::<str, _>(from).next()?;
        if next.starts_with(&beginning) { alike(topics, &beginning, rest) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was made, could not be opened, and no start after that went well.
    #[test]
    fn a_partition_that_could_have_no_folder_is_refused() {
        let name = "x".repeat(LENGTH_MAX);
        assert!(check_folder(&name, 99_999).is_ok() && check_folder("orders", 100_000).is_ok());
        let refusal = check_folder(&name, 100_000).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::INVALID_PARTITIONS);
    }

    #[test]
    fn names_are_refused_in_the_words_of_kafka() {
        let check = |name: &str, answer: &str| {
            let refusal = check_topic_name(name).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::INVALID_TOPIC_EXCEPTION);
            assert_eq!(refusal.message, answer);
        };
        check(".", "Topic name is invalid: '.' is not allowed");
        check("..", "Topic name is invalid: '..' is not allowed");
        check("", "Topic name is invalid: the empty string is not allowed");
        for name in ["a b", "a/b\u{e9}"] {
            let reason = "contains one or more characters other than ASCII alphanumerics, '.', \
                          '_' and '-'";
            check(name, &format!("Topic name is invalid: '{name}' {reason}"));
        }
        let long = "x".repeat(250);
        let reason = "is longer than the max allowed length 249";
        check(&long, &format!("Topic name is invalid: the length of '{long}' {reason}"));
        for name in ["a", "a.b_c-D9", &"x".repeat(249), "..."] {
            assert_eq!(check_topic_name(name), Ok(()));
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        let topics: BTreeMap<Str, ()> =
            ["a", "a.b", "a.bc", "a0b", "x_y.z"].map(|name| (name.into(), ())).into();
        let check = |name: &str, other: Option<&str>| {
            assert_eq!(collision(&topics, name).map(Str::as_str), other, "{name}");
        };
        check("a_b", Some("a.b"));
        check("a_bc", Some("a.bc"));
        check("x.y_z", Some("x_y.z"));
        check("a_0", None);
        check("a__b", None);
        check("x.y.z.", None);
        check("_y_z", None);
        check("a", None);
    }
}
