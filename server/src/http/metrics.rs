use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use crate::app::App;
use crate::http::problem::Problem;
use crate::turn::told;
use crate::worker::{Command, Report};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The least time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

type Labels = Vec<(&'static str, String)>;

/// `GET /healthz`: whether every worker answers.
pub(super) async fn health(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    for worker in 0..app.workers.len() {
        let (reply, answer) = oneshot::channel();
        app.ask(worker, Command::Ping { reply }, answer).await?;
    }
    Ok("ok\n")
}

/// `GET /metrics`: every named counter, by worker.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let reports = reports(&app).await?;
    let mut text = String::new();
    encode(&mut text, &registry(&app, &reports)).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics",
            "The metrics could not be written.",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// A report walks over all peers, on the threads that carry media. So there is one per second at most: who asks sooner
/// waits, and gets one that is not older than the question, together with all others who wait.
async fn reports(app: &App) -> Result<Arc<[Report]>, Problem> {
    let asked = Instant::now();
    let mut last = app.reports.lock().await;
    if let Some((begun, reports)) = &*last {
        if *begun >= asked {
            return Ok(reports.clone());
        }
        sleep_until((*begun + REPORT_INTERVAL).into()).await;
    }
    let begun = Instant::now();
    let reports: Arc<[Report]> = fresh_reports(app).await?.into();
    *last = Some((begun, reports.clone()));
    Ok(reports)
}

async fn fresh_reports(app: &App) -> Result<Vec<Report>, Problem> {
    let mut reports = Vec::new();
    for worker in 0..app.workers.len() {
        let (reply, answer) = oneshot::channel();
        reports.push(app.ask(worker, Command::Report { reply }, answer).await?);
    }
    Ok(reports)
}

fn registry(app: &App, reports: &[Report]) -> Registry {
    let mut registry = Registry::with_prefix("hyaline");
    let rooms = Gauge::<i64>::default();
    rooms.set(as_gauge(app.placement.rooms()));
    registry.register("rooms", "Rooms with somebody in them", rooms);
    let participants = Family::<Labels, Gauge>::default();
    let speaking = Family::<Labels, Gauge>::default();
    let mut counters: BTreeMap<&'static str, Family<Labels, Counter>> = BTreeMap::new();
    let handshakes = Family::<Labels, Counter>::default();
    for (worker, report) in reports.iter().enumerate() {
        let labels = || vec![("worker", worker.to_string())];
        participants.get_or_create(&labels()).set(as_gauge(report.participants));
        speaking.get_or_create(&labels()).set(as_gauge(report.speaking));
        for (name, value) in &report.counters {
            counters
                .entry(name)
                .or_default()
                .get_or_create(&labels())
                .inc_by(*value);
        }
        for (handshake, count) in &report.handshakes {
            let labels = vec![
                ("version", handshake.version.to_owned()),
                ("group", handshake.group.to_owned()),
                ("suite", handshake.suite.to_owned()),
                ("srtp_profile", handshake.srtp_profile.to_owned()),
            ];
            handshakes.get_or_create(&labels).inc_by(*count);
        }
    }
    registry.register("participants", "Participants", participants);
    registry.register("speaking", "Participants who speak", speaking);
    registry.register(
        "dtls_handshakes",
        "DTLS handshakes completed, by what was agreed on",
        handshakes,
    );
    for (name, family) in counters {
        registry.register(name, name.replace('_', " "), family);
    }
    for (name, value) in app.turn.as_deref().map(told).unwrap_or_default() {
        // How many there are may fall.
        if name == "turn_live_allocations" {
            let gauge = Gauge::<i64>::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, name.replace('_', " "), gauge);
            continue;
        }
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, name.replace('_', " "), counter);
    }
    for (name, value) in app.counters.get().iter() {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(format!("signalling_{name}"), name.replace('_', " "), counter);
    }
    registry
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
