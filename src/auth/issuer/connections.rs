//! New connections to an issuer that is one of the appliance's own apps: nothing is sent over a
//! connection that another program has accepted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::own_app::OwnApp;

/// Checks each connection that reqwest's connector makes.
#[derive(Debug, Clone)]
pub(super) struct CheckedConnections(pub(super) Arc<OwnApp>);

#[derive(Debug, Clone)]
pub(super) struct Checked<S> {
    connector: S,
    app: Arc<OwnApp>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>>;

impl<S> Layer<S> for CheckedConnections {
    type Service = Checked<S>;

    fn layer(&self, connector: S) -> Checked<S> {
        Checked { connector, app: self.0.clone() }
    }
}

impl<S, D> Service<D> for Checked<S>
where
    S: Service<D, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Connecting<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, destination: D) -> Self::Future {
        let (connecting, app) = (self.connector.call(destination), self.app.clone());
        Box::pin(async move {
            let connection = connecting.await.map_err(Into::into)?;
            // After the connection is made: before, another program could still take the port.
            app.check_connection()?;
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppName, Ends, ListenerCheck, ListenerFault, Phase};

    #[derive(Debug)]
    struct Says(Result<(), ListenerFault>);

    impl ListenerCheck for Says {
        fn check(&self, _: Option<Ends>) -> Result<(), ListenerFault> {
            self.0.clone()
        }
    }

    #[derive(Clone)]
    struct Connector;

    impl Service<()> for Connector {
        type Response = &'static str;
        type Error = std::io::Error;
        type Future = std::future::Ready<std::io::Result<&'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok("connection"))
        }
    }

    #[tokio::test]
    async fn a_connection_to_another_program_is_not_used() {
        let foreign = ListenerFault::Foreign("held by x".into());
        for (said, usable) in [
            (Some(Ok(())), true),
            (None, true),
            (Some(Err(ListenerFault::Changed)), false),
            (Some(Err(foreign)), false),
        ] {
            let app = Arc::new(OwnApp::new(AppName::new("idp")));
            let listener = said.map(|said| Arc::new(Says(said)) as Arc<dyn ListenerCheck>);
            app.follow(tokio::sync::watch::channel(Phase::Ready).1, listener);
            let mut connector = CheckedConnections(app).layer(Connector);
            assert_eq!(connector.call(()).await.is_ok(), usable);
        }
    }
}
