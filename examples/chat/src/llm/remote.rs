//! Models behind HTTP. What people wrote becomes JSON by way of serde and nothing else: a quote in
//! a question is a quote, and no end of a string.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::{Answer, LlmError, Prompt, Remote};

/// How long a line of an answer may be.
const LINE_MAX: usize = 64 * 1024;

/// How long a model may take for all of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the model is told of itself.
const SYSTEM: &str = "You are SuperChat, a friendly member of a chat room. Answer briefly.";

/// `POST /api/chat`: lines of JSON.
pub(super) fn ollama(remote: Remote, prompt: Prompt) -> Answer {
    let body = json!({
        "model": remote.model,
        "messages": messages(&prompt),
        "stream": true,
        "options": {"temperature": 0.8, "num_predict": prompt.tokens_max},
    });
    let url = format!("{}/api/chat", remote.url);
    Box::pin(lines(remote, url, body).map(|line| {
        let line: Value = serde_json::from_str(&line?)?;
        Ok(line["message"]["content"].as_str().unwrap_or_default().to_owned())
    }))
}

/// `POST /v1/chat/completions`: server-sent events.
pub(super) fn openai(remote: Remote, prompt: Prompt) -> Answer {
    let body = json!({
        "model": remote.model,
        "messages": messages(&prompt),
        "stream": true,
        "temperature": 0.8,
        "max_tokens": prompt.tokens_max,
    });
    let url = format!("{}/v1/chat/completions", remote.url);
    Box::pin(lines(remote, url, body).try_filter_map(async |line| {
        match line.strip_prefix("data:").map(str::trim) {
            None | Some("[DONE]") => Ok(None),
            Some(data) => {
                let data: Value = serde_json::from_str(data)?;
                let delta = &data["choices"][0]["delta"]["content"];
                Ok(Some(delta.as_str().unwrap_or_default().to_owned()))
            }
        }
    }))
}

fn messages(prompt: &Prompt) -> Vec<Value> {
    let mut messages = vec![json!({"role": "system", "content": SYSTEM})];
    messages.extend(prompt.context.iter().map(|said| match said.by_bot {
        true => json!({"role": "assistant", "content": said.text}),
        false => json!({"role": "user", "content": format!("{}: {}", said.name, said.text)}),
    }));
    messages.push(json!({"role": "user", "content": prompt.question}));
    messages
}

/// The lines of an answer that are not empty.
fn lines(
    remote: Remote,
    url: String,
    body: Value,
) -> impl Stream<Item = Result<String, LlmError>> + Send {
    let answer = async move {
        // Fails if somebody has chosen before, which is as good.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let mut request = client.post(url).json(&body);
        if !remote.key.is_empty() {
            request = request.bearer_auth(remote.key);
        }
        let answer = request.send().await?.error_for_status()?;
        Ok::<_, LlmError>(split(answer.bytes_stream().map_err(LlmError::from)))
    };
    stream::once(answer).try_flatten()
}

/// Cuts what comes in whatever pieces at the ends of its lines.
fn split<S, B>(pieces: S) -> impl Stream<Item = Result<String, LlmError>> + Send
where
    S: Stream<Item = Result<B, LlmError>> + Send + 'static,
    B: AsRef<[u8]> + Send,
{
    let state = (Box::pin(pieces), Vec::<u8>::new(), false);
    stream::try_unfold(state, async |(mut pieces, mut rest, mut ended)| {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    return Ok(Some((line, (pieces, rest, ended))));
                }
            } else if ended {
                let line = String::from_utf8_lossy(&rest).trim().to_owned();
                return Ok((!line.is_empty()).then(|| (line, (pieces, Vec::new(), ended))));
            } else if rest.len() > LINE_MAX {
                return Err(LlmError::Line);
            } else {
                match pieces.try_next().await? {
                    Some(piece) => rest.extend_from_slice(piece.as_ref()),
                    None => ended = true,
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Said;
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_however_they_come() {
        let pieces = ["{\"a\"", ":1}\n\n{\"b\":", "2}\r\n", "last"];
        let pieces = stream::iter(pieces.map(|piece| Ok(piece.as_bytes())));
        let lines: Vec<String> = split(pieces).try_collect().await.unwrap();
        assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}", "last"]);
        let endless = stream::iter(std::iter::repeat_with(|| Ok([b'x'; 1024])));
        let refused = split(endless).try_collect::<Vec<_>>().await;
        assert!(matches!(refused, Err(LlmError::Line)));
    }

    #[test]
    fn a_quote_in_a_question_ends_nothing() {
        let question = r#"", "model": "other"}] { \ "#.to_owned();
        let text = "}{\"".to_owned();
        let said = Said { name: "bob".into(), text, by_bot: false };
        let prompt =
            Prompt { question: question.clone(), context: vec![said], ..Prompt::default() };
        let body = json!({"messages": messages(&prompt)}).to_string();
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["messages"][2]["content"], question);
        assert_eq!(read["messages"][1]["content"], "bob: }{\"");
        assert_eq!(read.as_object().unwrap().len(), 1);
    }
}
