//! A few skills that need no model: the same question has the same answer, word by word.

use futures_util::{Stream, stream};

use super::{LlmError, Prompt};

/// The answer, word by word.
pub(super) fn answer(prompt: &Prompt) -> impl Stream<Item = Result<String, LlmError>> + use<> {
    let text = text(prompt);
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    stream::iter(words.into_iter().map(Ok))
}

fn text(prompt: &Prompt) -> String {
    let question = prompt.question.trim();
    let (word, rest) = question.split_once(' ').unwrap_or((question, ""));
    match word.to_lowercase().as_str() {
        "help" | "" => "I can: help, echo TEXT, count N, summary, and sums such as 2 + 3 * 4. \
                        With LLM=ollama or LLM=openai I can do more."
            .to_owned(),
        "echo" => rest.to_owned(),
        "count" => {
            let numbers = 1..=rest.trim().parse().unwrap_or(3_u32).clamp(1, 1_000);
            numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
        }
        "summary" => summary(prompt),
        _ => match sum(question) {
            Some(value) => format!("{} = {value}", question.trim_end_matches('=').trim()),
            None => format!("You said: {question}"),
        },
    }
}

fn summary(prompt: &Prompt) -> String {
    let mut names: Vec<&str> = prompt.context.iter().map(|said| &*said.name).collect();
    names.sort_unstable();
    names.dedup();
    let count = prompt.context.len();
    format!("The last {count} messages in {} are by {}.", prompt.room, names.join(", "))
}

/// The value of a sum of products, without brackets.
fn sum(text: &str) -> Option<f64> {
    let text: String = text.trim_end_matches('=').chars().filter(|c| !c.is_whitespace()).collect();
    if !text.chars().all(|letter| letter.is_ascii_digit() || "+-*/.".contains(letter)) {
        return None;
    }
    let (mut total, mut product, mut number) = (0.0, Some(1.0), String::new());
    let (mut sign, mut divides) = (1.0, false);
    for letter in text.chars().chain(['+']) {
        if letter.is_ascii_digit() || letter == '.' {
            number.push(letter);
            continue;
        }
        let value: f64 = std::mem::take(&mut number).parse().ok()?;
        product = product.map(|so_far: f64| if divides { so_far / value } else { so_far * value });
        match letter {
            '*' | '/' => divides = letter == '/',
            _ => {
                total += sign * product?;
                (product, divides) = (Some(1.0), false);
                sign = if letter == '-' { -1.0 } else { 1.0 };
            }
        }
    }
    total.is_finite().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::super::Said;
    use super::*;

    #[test]
    fn answers_are_always_the_same() {
        let said = |name: &str| Said { name: name.into(), text: "hi".into(), by_bot: false };
        let check = |question: &str, wanted: &str| {
            let context = vec![said("bob"), said("alice"), said("bob")];
            let (room, question) = ("general".into(), question.into());
            assert_eq!(text(&Prompt { room, context, question, tokens_max: 75 }), wanted);
        };
        check("echo \"a\" {b} \\ \n", "\"a\" {b} \\");
        check("2 + 3 * 4 - 6 / 4 =", "2 + 3 * 4 - 6 / 4 = 12.5");
        check("1/0", "You said: 1/0");
        check("1 +", "You said: 1 +");
        check("count 3", "1 2 3");
        check("Summary", "The last 3 messages in general are by alice, bob.");
        check("how are you?", "You said: how are you?");
    }
}
