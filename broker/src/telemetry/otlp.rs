//! What a push says: OpenTelemetry's `MetricsData` (version 1), as far as clients of Kafka use it:
//! gauges and sums of numbers. Histograms are passed over.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`.

use prost::{DecodeError, Message};

/// One number of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    /// Names and values, of the resource and of the point.
    pub(super) labels: Vec<(String, String)>,
    pub(super) kind: Kind,
    pub(super) value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A value as it is now.
    Gauge,
    /// A sum since the client began.
    Sum,
    /// The growth of a sum since the last push.
    Growth,
}

/// All numbers of a push.
///
/// # Errors
/// The bytes are no `MetricsData`.
pub(super) fn samples(bytes: &[u8]) -> Result<Vec<Sample>, DecodeError> {
    let mut samples = Vec::new();
    for of_resource in MetricsData::decode(bytes)?.resource_metrics {
        let resource = of_resource.resource.unwrap_or_default().attributes;
        let metrics = of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        for metric in metrics {
            let (kind, points) = match metric.data {
                Some(Data::Gauge(gauge)) => (Kind::Gauge, gauge.data_points),
                Some(Data::Sum(sum)) if sum.aggregation_temporality == DELTA => {
                    (Kind::Growth, sum.data_points)
                }
                Some(Data::Sum(sum)) => (Kind::Sum, sum.data_points),
                None => continue,
            };
            for point in points {
                let value = match point.value {
                    Some(Value::Double(value)) => value,
                    Some(Value::Int(value)) => value as f64,
                    None => continue,
                };
                let attributes = resource.iter().chain(&point.attributes);
                let labels = attributes.filter_map(KeyValue::label).collect();
                samples.push(Sample { name: metric.name.clone(), labels, kind, value });
            }
        }
    }
    Ok(samples)
}

/// The temporality of sums that tell their growth.
const DELTA: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct MetricsData {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "Data", tags = "5, 7")]
    data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<Point>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
    #[prost(oneof = "Value", tags = "4, 6")]
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
enum Value {
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}

impl KeyValue {
    fn label(&self) -> Option<(String, String)> {
        let value = match self.value.as_ref()?.value.as_ref()? {
            Any::Text(text) => text.clone(),
            Any::Bool(value) => value.to_string(),
            Any::Int(value) => value.to_string(),
            Any::Double(value) => value.to_string(),
        };
        Some((self.key.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Any::Text(value.into())) };
        KeyValue { key: key.into(), value: Some(value) }
    }

    #[test]
    fn gauges_and_sums_are_told_with_the_labels_of_both() {
        let point = |value| Point { attributes: vec![attribute("node", "1")], value: Some(value) };
        let gauge = Gauge { data_points: vec![point(Value::Double(0.5))] };
        let sum = |aggregation_temporality| Sum {
            data_points: vec![point(Value::Int(7))],
            aggregation_temporality,
        };
        let metric = |name: &str, data| Metric { name: name.into(), data: Some(data) };
        let metrics = vec![
            metric("a", Data::Gauge(gauge)),
            metric("b", Data::Sum(sum(DELTA))),
            metric("c", Data::Sum(sum(2))),
            Metric { name: "histogram".into(), data: None },
        ];
        let resource = Resource { attributes: vec![attribute("rack", "r")] };
        let of_resource = ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { metrics }],
        };
        let data = MetricsData { resource_metrics: vec![of_resource] };
        let told = samples(&data.encode_to_vec()).unwrap();
        let kinds: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.kind, it.value)).collect();
        let all = [("a", Kind::Gauge, 0.5), ("b", Kind::Growth, 7.0), ("c", Kind::Sum, 7.0)];
        assert_eq!(kinds, all);
        let labels = [("rack".to_owned(), "r".to_owned()), ("node".to_owned(), "1".to_owned())];
        assert_eq!(told[0].labels, labels);
        assert!(samples(b"noise").is_err());
    }
}
