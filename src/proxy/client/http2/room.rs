//! Room for the descriptors of the requests of a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::client_network;
use crate::proxy::client::capacity::Capacity;
use crate::proxy::socket::alarm::within;
use crate::proxy::socket::descriptors::{Held, Network};

/// How long a request waits for another one of its connection.
const LONGEST: Duration = Duration::from_secs(5);

/// What one request holds.
#[derive(Debug)]
pub(super) enum Room {
    /// The room that belongs to the connection.
    OfConnection { _permit: OwnedSemaphorePermit },
    /// One of the further requests at the same time.
    Further { _held: Held },
}

/// The room of a connection.
#[derive(Debug, Clone)]
pub(super) struct ConnectionRoom {
    own: Arc<Semaphore>,
    client: Network,
}

impl ConnectionRoom {
    pub(super) fn new(client: Option<IpAddr>) -> Self {
        Self { own: Arc::new(Semaphore::new(1)), client: client.map(client_network) }
    }

    /// Room for a request beside `others` of the same connection. While all further requests are taken, the
    /// requests of a connection are served one after the other, as on HTTP/1: no client has less than that,
    /// whatever others do. `None` if that takes too long.
    pub(super) async fn find(&self, capacity: &Capacity, others: usize) -> Option<Room> {
        let own = || Arc::clone(&self.own);
        if let Ok(permit) = own().try_acquire_owned() {
            return Some(Room::OfConnection { _permit: permit });
        }
        if let Some(held) = capacity.hold_request(others, self.client).await {
            return Some(Room::Further { _held: held });
        }
        let permit = within(LONGEST, own().acquire_owned()).await?.ok()?;
        Some(Room::OfConnection { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_room_for_one_request_whatever_others_hold() {
        let capacity = Capacity::new();
        capacity.descriptors().set_limit(4, 4);
        let others = [ConnectionRoom::new(None), ConnectionRoom::new(None)];
        let mut taken = Vec::new();
        for other in &others {
            for number in 0..2 {
                taken.push(other.find(&capacity, number).await.unwrap());
            }
        }
        assert!(capacity.hold_request(1, None).await.is_none());
        let room = ConnectionRoom::new(None);
        let first = room.find(&capacity, 0).await;
        assert!(matches!(first, Some(Room::OfConnection { .. })));
        // The next one waits for it.
        let (second, ()) = tokio::join!(room.find(&capacity, 1), async {
            tokio::time::sleep(LONGEST / 2).await;
            drop(first);
        });
        assert!(matches!(second, Some(Room::OfConnection { .. })));
        assert!(room.find(&capacity, 1).await.is_none(), "not for ever");
        drop(taken);
        assert!(matches!(room.find(&capacity, 1).await, Some(Room::Further { .. })));
    }
}
