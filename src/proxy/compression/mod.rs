//! Compresses the responses of apps that any cache may keep: texts that are the same for everybody.
//!
//! A response that a login decides is never compressed: its length would tell a part of its content
//! to an attacker who chooses another part (BREACH). [`eligible`] decides, [`accepted`] chooses the
//! coding, and [`body`] either compresses piece by piece or takes the result from [`store`].

mod accepted;
pub(super) mod body;
mod eligible;
mod encoder;
pub(super) mod store;

use http::header::{ACCEPT_ENCODING, HeaderMap, RANGE};
use http::{Method, StatusCode};

use self::accepted::Accepted;
use self::body::{Compressed, Plan};
use self::store::Store;
use crate::proxy::upstream::download::Download;

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
    /// As the app sends it.
    Plain(Download),
    /// Compressed.
    Compressed(Box<Compressed>),
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
        download: Download,
        store: &Store,
    ) -> Delivery {
        let length = download.size_hint().exact();
        if !self.possible || status != StatusCode::OK || !eligible::is_eligible(headers, length) {
            return Delivery::Plain(download);
        }
        eligible::add_vary(headers);
        let room = length.filter(|_| eligible::is_kept_long(headers));
        let plan = match room.and_then(|length| store.room(length)) {
            Some(room) => self.accepted.smallest().map(|coding| Plan::whole(coding, room, store)),
            None => self.accepted.fastest().and_then(|coding| Plan::pieces(coding, store.place()?)),
        };
        let Some(plan) = plan else { return Delivery::Plain(download) };
        eligible::announce(headers, plan.coding());
        Delivery::Compressed(Box::new(plan.begin(download)))
    }
}
