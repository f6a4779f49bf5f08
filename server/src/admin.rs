//! The HTTP side: `/live`, `/ready`, `/metrics`, and a status page.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use rtsap_engine::Engine;
use rtsap_engine::status::ViewReport;
use serde_json::json;
use tokio::net::TcpListener;

use crate::error::ServerError;

#[derive(Clone)]
struct Admin {
    engine: Engine,
    metrics: PrometheusHandle,
}

/// Binds `address`.
///
/// # Errors
/// [`ServerError::Listen`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ServerError::Listen {
            address: address.to_string(),
            purpose: "HTTP",
            reason: error.to_string(),
        })
}

/// Serves until `shutdown`.
///
/// # Errors
/// [`ServerError::Io`] if the listener breaks.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let router = Router::new()
        .route("/", get(page))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(scrape))
        .route("/api/v1/status", get(status))
        .with_state(Admin { engine, metrics });
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|source| ServerError::Io {
            action: "serve HTTP".to_owned(),
            source,
        })
}

/// The process answers: restart it if it does not.
async fn live() -> &'static str {
    "live\n"
}

/// Everything of the catalog runs: send clients here.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let status = admin.engine.status();
    match status.problem {
        None if status.ready => (StatusCode::OK, "ready\n".to_owned()),
        problem => {
            let reason = problem.unwrap_or_else(|| "starting".to_owned());
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {reason}\n"),
            )
        }
    }
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        admin.metrics.render(),
    )
}

async fn status(State(admin): State<Admin>) -> impl IntoResponse {
    let status = admin.engine.status();
    let view = |view: ViewReport| {
        json!({
            "name": view.name,
            "state": view.state,
            "rows_in": view.rows_in,
            "late": view.late,
            "rows": view.rows,
            "watermark_ms": view.watermark_ms,
            "state_bytes": view.state_bytes,
        })
    };
    let views: Vec<_> = admin.engine.view_reports().into_iter().map(view).collect();
    let body = json!({
        "ready": status.ready,
        "problem": status.problem,
        "checkpoint_epoch": status.checkpoint_epoch,
        "sessions": status.sessions,
        "troubles": status.troubles,
        "views": views,
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
}

async fn page() -> Html<&'static str> {
    Html(include_str!("admin/page.html"))
}
