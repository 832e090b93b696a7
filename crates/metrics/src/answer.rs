//! What all answers of Prometheus have in common; the series in them are handed on one by one, where they lie.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::problem::shorten;
use crate::stream::Each;

/// Why an answer holds no readings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server's own `status: error`.
    Server { kind: String, text: String },
    /// Not an answer of Prometheus, or not one to our question.
    Malformed(String),
}

/// What becomes of the series in an answer.
pub(crate) trait Results<'de> {
    /// The `resultType` of answers to the question.
    const TYPE: &'static str;
    /// One element of the result.
    type Series: Deserialize<'de>;

    /// Takes the next one; what it refuses ends the reading.
    fn take(&mut self, series: Self::Series) -> Result<(), String>;
}

/// Reads the body of an answer; returns what the server warned of.
pub(crate) fn read<'de, R: Results<'de>>(
    body: &'de [u8],
    results: &mut R,
) -> Result<Vec<String>, Refusal> {
    // Checking the whole at once is quicker than string by string.
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::Malformed(format!("the answer is not JSON: {error}")))?;
    let mut sink = Sink {
        results,
        has_result: false,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let envelope = EnvelopeSeed(&mut sink)
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| Refusal::Malformed(malformed(text, &error)))?;
    match envelope.status.as_ref() {
        "success" => {}
        "error" => {
            return Err(Refusal::Server {
                kind: shorten(&envelope.error_type),
                text: shorten(&envelope.error),
            });
        }
        other => {
            let text = format!("expected status \"success\", found \"{}\"", shorten(other));
            return Err(Refusal::Malformed(text));
        }
    }
    if !sink.has_result {
        return Err(Refusal::Malformed(format!(
            "the answer holds no {}",
            R::TYPE
        )));
    }
    Ok(envelope.warnings.iter().map(|text| shorten(text)).collect())
}

/// Refuses an answer of too many series; `most` is zero where there is no limit.
pub(crate) fn check_count(series: usize, most: usize) -> Result<(), String> {
    if most > 0 && series > most {
        return Err(format!(
            "more than {most} series, the configured maxSamples"
        ));
    }
    Ok(())
}

fn malformed(text: &str, error: &serde_json::Error) -> String {
    let start = text.trim_start();
    if start.starts_with('{') {
        return format!("the answer cannot be read: {error}");
    }
    // The end is cut first, since a page may be long.
    let end = start
        .char_indices()
        .nth(120)
        .map_or(start.len(), |(end, _)| end);
    format!("expected JSON, found \"{}\"", shorten(&start[..end]))
}

/// What was found so far.
struct Sink<'results, R> {
    results: &'results mut R,
    has_result: bool,
}

/// Everything but the readings.
#[derive(Default)]
struct Envelope<'answer> {
    status: Cow<'answer, str>,
    error_type: Cow<'answer, str>,
    error: Cow<'answer, str>,
    warnings: Vec<Cow<'answer, str>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum EnvelopeKey {
    Status,
    Data,
    ErrorType,
    Error,
    Warnings,
    #[serde(other)]
    Other,
}

struct EnvelopeSeed<'sink, 'results, R>(&'sink mut Sink<'results, R>);

impl<'de, R: Results<'de>> DeserializeSeed<'de> for EnvelopeSeed<'_, '_, R> {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, R: Results<'de>> Visitor<'de> for EnvelopeSeed<'_, '_, R> {
    type Value = Envelope<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an answer of Prometheus")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key()? {
            match key {
                EnvelopeKey::Status => envelope.status = map.next_value()?,
                EnvelopeKey::Data => map.next_value_seed(DataSeed(&mut *self.0))?,
                EnvelopeKey::ErrorType => envelope.error_type = map.next_value()?,
                EnvelopeKey::Error => envelope.error = map.next_value()?,
                EnvelopeKey::Warnings => {
                    envelope.warnings = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                EnvelopeKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(envelope)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum DataKey {
    ResultType,
    Result,
    #[serde(other)]
    Other,
}

struct DataSeed<'sink, 'results, R>(&'sink mut Sink<'results, R>);

impl<'de, R: Results<'de>> DeserializeSeed<'de> for DataSeed<'_, '_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Results<'de>> Visitor<'de> for DataSeed<'_, '_, R> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("`data` with `resultType` and `result`")
    }

    /// An error has no data.
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            match key {
                DataKey::ResultType => {
                    let found: Cow<'de, str> = map.next_value()?;
                    if found != R::TYPE {
                        let text =
                            format!("expected a {}, one series a node, found a {found}", R::TYPE);
                        return Err(de::Error::custom(text));
                    }
                }
                DataKey::Result => {
                    self.0.has_result = true;
                    map.next_value_seed(Each::new(|series: R::Series| {
                        self.0.results.take(series)
                    }))?;
                }
                DataKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}
