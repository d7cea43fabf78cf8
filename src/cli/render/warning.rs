//! What else happens in a run, in words: retries, limits, stops.

use crate::{api::event::WARNING, cli::event::Event};

/// What a person should not miss of what else happens.
pub fn warning(subtype: &str, event: &Event) -> Option<String> {
    Some(match subtype {
        "api_retry" => {
            // Without a status there was no answer, and the CLI's word for why is "unknown".
            let what = match event.count("/data/error_status") {
                Some(status) => format!("the API answered {status} {}", event.text("/data/error")),
                None => "the API could not be reached".to_owned(),
            };
            let pause = event.number("/data/retry_delay_ms").unwrap_or_default() / 1000.0;
            format!(
                "{what}: retry {} of {} in {pause:.1}s",
                event.count("/data/attempt").unwrap_or_default(),
                event.count("/data/max_retries").unwrap_or_default(),
            )
        }
        "model_fallback" => event.text("/data/content").to_owned(),
        "rate_limit_event" => "the API's rate limit is near".to_owned(),
        WARNING => event.text("/data/message").to_owned(),
        "stop" => format!("stopped: {}", event.text("/data/by")),
        "signal" => format!("signal {}", event.text("/data/signal")),
        _ => return None,
    })
}
