//! Compresses the responses of apps that any cache may keep: texts that are the same for everybody.
//!
//! A response that a login decides is never compressed: its length would tell a part of its content
//! to an attacker who chooses another part (BREACH). [`eligible`] decides, `content_coding` chooses the
//! coding, and [`body`] either compresses piece by piece or takes the result from [`store`].

pub(super) mod body;
mod eligible;
mod encoder;
pub(super) mod store;

use std::task::Context;

use http::header::{ACCEPT_ENCODING, HeaderMap, RANGE};
use http::{Method, StatusCode};

use self::body::{Compressed, Plan};
use self::store::Store;
use crate::proxy::files::body::FileBody;
use crate::proxy::phases::headers::content_coding::Accepted;
use crate::proxy::upstream::download::{Download, PollFrame};
use crate::proxy::upstream::lasting::Bond;

/// What a request says about compression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    accepted: Accepted,
    /// The response to this request may be compressed.
    possible: bool,
}

/// How the body of a response is sent.
#[derive(Debug)]
pub(super) enum Delivery {
    /// As it is.
    Plain(Plain),
    /// Compressed.
    Compressed(Box<Compressed>),
}

/// A body that may be compressed.
#[derive(Debug)]
pub(super) enum Plain {
    /// Of an app.
    App(Download),
    /// A file.
    File(Box<FileBody>),
}

impl Plain {
    /// The length, if it is known.
    fn length(&self) -> Option<u64> {
        match self {
            Self::App(download) => download.size_hint().exact(),
            Self::File(file) => Some(file.left()),
        }
    }

    /// The next piece.
    /// What binds the response to the right of its request.
    fn bond(&mut self) -> &mut Bond {
        match self {
            Self::App(download) => download.bond(),
            Self::File(file) => file.bond(),
        }
    }

    /// The text has ended: others may use the connection to the app.
    fn release(&mut self) {
        if let Self::App(download) = self {
            download.release();
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PollFrame {
        match self {
            Self::App(download) => download.poll_frame(cx),
            Self::File(file) => file.poll_frame(cx),
        }
    }
}

impl Asked {
    /// Reads a request. `on`: `[server] compression`.
    pub(super) fn of(on: bool, method: &Method, headers: &HeaderMap) -> Self {
        let possible = on && *method == Method::GET && !headers.contains_key(RANGE);
        let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter(|_| possible);
        Self { accepted: Accepted::of(accepted), possible }
    }

    /// Decides how a response is sent, and changes its headers accordingly.
    pub(super) fn deliver(
        self,
        status: StatusCode,
        headers: &mut HeaderMap,
        body: Plain,
        store: &Store,
    ) -> Delivery {
        let length = body.length();
        if !self.possible || status != StatusCode::OK || !eligible::is_eligible(headers, length) {
            return Delivery::Plain(body);
        }
        eligible::add_vary(headers);
        let room = length.filter(|_| eligible::is_kept_long(headers));
        let plan = match room.and_then(|length| store.room(length)) {
            Some(room) => self.accepted.smallest().map(|coding| Plan::whole(coding, room, store)),
            None => self.accepted.fastest().and_then(|coding| Plan::pieces(coding, store.place()?)),
        };
        let Some(plan) = plan else { return Delivery::Plain(body) };
        eligible::announce(headers, plan.coding());
        Delivery::Compressed(Box::new(plan.begin(body)))
    }
}
