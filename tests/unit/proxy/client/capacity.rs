//! Which connections are admitted, and which make room.

use std::future::poll_fn;
use std::task::Poll;

use super::*;

fn limited(limit: usize, per_client: Option<usize>) -> Arc<Capacity> {
    let capacity = Capacity::new();
    capacity.set_limits(MaxConnections { clients: limit, descriptors: 0 }, per_client);
    capacity
}

/// The client is not an app.
fn nobody() -> Option<AppName> {
    None
}

fn slot(admission: Admission) -> Option<Slot> {
    match admission {
        Admission::Admitted(slot) => Some(slot),
        Admission::Refused(_) | Admission::Dropped => None,
    }
}

async fn admitted(capacity: &Arc<Capacity>, address: &str) -> Option<Slot> {
    slot(capacity.admit(Some(address.parse().unwrap()), nobody).await)
}

/// A connection that closes when it is told to; resolves with its name.
async fn until_closed(slot: Slot, name: &str) -> &str {
    poll_fn(|cx| if slot.must_close(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    name
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room() {
    let capacity = limited(3, None);
    let first = admitted(&capacity, "127.0.0.1").await.unwrap();
    let second = admitted(&capacity, "127.0.0.1").await.unwrap();
    let third = admitted(&capacity, "127.0.0.2").await.unwrap();
    first.set_busy();
    first.set_idle();
    third.set_busy();
    // The second has been idle since it was accepted, the first only now.
    let second = tokio::spawn(until_closed(second, "second"));
    let fourth = admitted(&capacity, "127.0.0.1").await.unwrap();
    assert_eq!(second.await.unwrap(), "second");
    fourth.set_busy();
    let first = tokio::spawn(until_closed(first, "first"));
    let fifth = admitted(&capacity, "127.0.0.1").await.unwrap();
    assert_eq!(first.await.unwrap(), "first");
    fifth.set_busy();
    assert!(admitted(&capacity, "127.0.0.1").await.is_none(), "only requests are left");
    drop(third);
    assert!(admitted(&capacity, "127.0.0.1").await.is_some());
}

#[tokio::test]
async fn a_chosen_connection_with_a_new_request_stays() {
    let capacity = limited(1, None);
    let only = admitted(&capacity, "127.0.0.1").await.unwrap();
    let asking = tokio::spawn({
        let capacity = capacity.clone();
        async move { admitted(&capacity, "127.0.0.1").await.is_some() }
    });
    tokio::task::yield_now().await;
    poll_fn(|cx| if only.must_close(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    only.set_busy();
    assert!(!asking.await.unwrap());
    assert!(!poll_fn(|cx| Poll::Ready(only.must_close(cx))).await);
}

/// A connection that lives until it has to make room; counts itself in `closed`.
fn idle_connection(slot: Slot, closed: &Arc<AtomicUsize>) {
    let closed = Arc::clone(closed);
    tokio::spawn(async move {
        poll_fn(|cx| if slot.must_close(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        closed.fetch_add(1, Ordering::Relaxed);
    });
}

#[tokio::test]
async fn idle_connections_make_room_for_the_requests_of_others() {
    let capacity = Capacity::new();
    capacity.set_limits(MaxConnections { clients: 100, descriptors: 200 }, None);
    let closed = Arc::new(AtomicUsize::new(0));
    let busy = admitted(&capacity, "127.0.0.2").await.unwrap();
    busy.set_busy();
    for _ in 1..100 {
        idle_connection(admitted(&capacity, "127.0.0.1").await.unwrap(), &closed);
    }
    // 41 requests of the busy connection use as many descriptors as 21 connections.
    let mut requests = Vec::new();
    for other in 0..41 {
        let client = Some(IpAddr::from([10, 0, 0, other % 4]));
        requests.push(capacity.hold_request(1, client).await.unwrap());
    }
    while closed.load(Ordering::Relaxed) < 21 {
        tokio::task::yield_now().await;
    }
    assert_eq!(capacity.open.lock().unwrap().connections.len(), 79, "no more than are needed");
    let person = admitted(&capacity, "127.0.0.3").await;
    assert!(person.is_some());
    while closed.load(Ordering::Relaxed) < 22 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_connection_has_as_many_idle_ones_closed_as_it_needs() {
    let capacity = limited(50, None);
    let closed = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        idle_connection(admitted(&capacity, "127.0.0.1").await.unwrap(), &closed);
    }
    // A reload has lowered the limit.
    capacity.set_limits(MaxConnections { clients: 10, descriptors: 0 }, None);
    assert!(admitted(&capacity, "127.0.0.2").await.is_some());
    assert_eq!(closed.load(Ordering::Relaxed), 41);
}

#[tokio::test]
async fn nobody_waits_for_idle_connections_that_are_too_few() {
    let capacity = limited(4, None);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(admitted(&capacity, "127.0.0.1").await.unwrap());
    }
    held.iter().skip(1).for_each(Slot::set_busy);
    capacity.set_limits(MaxConnections { clients: 2, descriptors: 0 }, None);
    assert!(admitted(&capacity, "127.0.0.2").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_close_in_time_is_not_waited_for() {
    let capacity = limited(2, None);
    let stuck = admitted(&capacity, "127.0.0.1").await.unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    idle_connection(admitted(&capacity, "127.0.0.1").await.unwrap(), &closed);
    let second = admitted(&capacity, "127.0.0.2").await.unwrap();
    assert_eq!(closed.load(Ordering::Relaxed), 1);
    // It does not count for the next one either.
    idle_connection(second, &closed);
    assert!(admitted(&capacity, "127.0.0.2").await.is_some());
    assert_eq!(closed.load(Ordering::Relaxed), 2);
    drop(stuck);
}

#[tokio::test]
async fn a_head_that_has_begun_makes_room_after_those_that_have_not() {
    let capacity = limited(3, None);
    let closed = Arc::new(AtomicUsize::new(0));
    let half = admitted(&capacity, "127.0.0.1").await.unwrap();
    for _ in 0..2 {
        idle_connection(admitted(&capacity, "127.0.0.1").await.unwrap(), &closed);
    }
    // The first byte of a head.
    half.set_idle();
    let people = [admitted(&capacity, "::1").await, admitted(&capacity, "::1").await];
    assert_eq!(closed.load(Ordering::Relaxed), 2);
    people.iter().flatten().for_each(Slot::set_busy);
    // The rest of the head does not come.
    let half = tokio::spawn(until_closed(half, "half"));
    assert!(admitted(&capacity, "::1").await.is_some());
    assert_eq!(half.await.unwrap(), "half");
}

#[tokio::test]
async fn one_address_does_not_use_up_the_places_of_another() {
    let capacity = limited(10, Some(2));
    let first = admitted(&capacity, "127.0.0.1").await.unwrap();
    let second = admitted(&capacity, "127.0.0.1").await.unwrap();
    let other = admitted(&capacity, "::1").await.unwrap();
    let unix = slot(capacity.admit(None, nobody).await);
    assert!(unix.is_some());
    first.set_busy();
    let second = tokio::spawn(until_closed(second, "second"));
    let third = admitted(&capacity, "127.0.0.1").await.unwrap();
    assert_eq!(second.await.unwrap(), "second");
    third.set_busy();
    assert!(admitted(&capacity, "127.0.0.1").await.is_none());
    assert!(!poll_fn(|cx| Poll::Ready(other.must_close(cx))).await);
    assert!(admitted(&capacity, "::1").await.is_some());
    drop(third);
    assert!(admitted(&capacity, "127.0.0.1").await.is_some());
}

#[tokio::test]
async fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
    for (own, sibling, other) in [
        ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
        ("fe80::1", "fe80::2", "fe80:0:0:1::1"),
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
    ] {
        let capacity = limited(10, Some(1));
        let first = admitted(&capacity, own).await.unwrap();
        first.set_busy();
        assert!(admitted(&capacity, sibling).await.is_none(), "{own}");
        assert!(admitted(&capacity, other).await.is_some(), "{own}");
        drop(first);
        assert!(admitted(&capacity, sibling).await.is_some(), "{own}");
    }
}

#[tokio::test]
async fn apps_leave_half_of_the_places_to_others() {
    let capacity = limited(5, None);
    let address = Some("127.0.0.1".parse().unwrap());
    let mut held = Vec::new();
    for (app, admitted) in [
        (true, true),
        (true, true),
        (true, true),
        (true, false),
        (false, true),
        (true, false),
        (false, true),
        (false, false),
    ] {
        let client = || AppName::new("asker").filter(|_| app);
        let slot = slot(capacity.admit(address, client).await);
        assert_eq!(slot.is_some(), admitted, "{} are held", held.len());
        held.extend(slot.inspect(Slot::set_busy));
    }
    held.truncate(2);
    assert!(slot(capacity.admit(address, || AppName::new("asker")).await).is_some());
}

#[tokio::test]
async fn idle_connections_of_apps_are_not_all_of_them() {
    let capacity = limited(8, None);
    let app = || AppName::new("asker");
    let mut held = Vec::new();
    while let Some(slot) = slot(capacity.admit(None, app).await) {
        held.push(slot);
    }
    assert_eq!(held.len(), 6);
    held.iter().for_each(Slot::set_busy);
    let people = [capacity.admit(None, nobody).await, capacity.admit(None, nobody).await];
    assert!(people.into_iter().all(|one| slot(one).is_some()));
    held.truncate(3);
    assert!(slot(capacity.admit(None, app).await).is_some());
    // Idle connections of others make room.
    let others: Vec<_> =
        [capacity.admit(None, nobody).await, capacity.admit(None, nobody).await].into();
    assert!(slot(capacity.admit(None, app).await).is_some());
    drop(others);
}

#[tokio::test]
async fn an_app_that_names_clients_stays_an_app() {
    let capacity = limited(12, None);
    let app = || AppName::new("asker");
    let mut held = Vec::new();
    for client in 1_u8.. {
        let Some(unnamed) = slot(capacity.admit(None, app).await) else { break };
        let client = Some(IpAddr::from([203, 0, 113, client]));
        assert!(capacity.name(&unnamed, client).await.is_ok());
        held.push(unnamed);
    }
    assert_eq!(held.len(), 9);
    held.iter().for_each(Slot::set_busy);
    let person = slot(capacity.admit(None, nobody).await).unwrap();
    assert!(capacity.name(&person, Some(IpAddr::from([203, 0, 113, 1]))).await.is_ok());
    drop((held, person));
    let open = capacity.open.lock().unwrap();
    assert_eq!((open.of_apps, open.per_client.len(), open.connections.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_connection_keeps_its_place_when_a_proxy_names_its_client() {
    let capacity = limited(2, Some(1));
    let client = Some("203.0.113.7".parse().unwrap());
    let first = slot(capacity.admit(None, nobody).await).unwrap();
    let second = slot(capacity.admit(None, nobody).await).unwrap();
    // All places are taken, and none is free in between.
    assert!(capacity.name(&first, client).await.is_ok());
    first.set_busy();
    assert!(capacity.name(&second, client).await.is_err(), "the client has its only place");
    first.set_idle();
    let first = tokio::spawn(until_closed(first, "first"));
    assert!(capacity.name(&second, client).await.is_ok());
    assert_eq!(first.await.unwrap(), "first");
    // One that is named again is counted for the last client only.
    assert!(capacity.name(&second, None).await.is_ok());
    let third = slot(capacity.admit(client, nobody).await).unwrap();
    drop((second, third));
    assert!(capacity.open.lock().unwrap().per_client.is_empty());
}

#[tokio::test]
async fn refusals_are_bounded_too() {
    let capacity = limited(1, None);
    let only = admitted(&capacity, "127.0.0.1").await.unwrap();
    only.set_busy();
    let mut refused = Vec::new();
    for _ in 0..MAX_REFUSALS {
        refused.push(capacity.admit(None, nobody).await);
    }
    assert!(refused.iter().all(|one| matches!(one, Admission::Refused(_))));
    assert!(matches!(capacity.admit(None, nobody).await, Admission::Dropped));
    drop(refused);
    assert!(matches!(capacity.admit(None, nobody).await, Admission::Refused(_)));
}
