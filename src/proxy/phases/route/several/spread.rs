//! How the requests of an app are spread over its places, and what a reload leaves of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pass::PassCookie;
use super::seats::{Mask, Seats, is_in};
use crate::config::{Config, Standing};
use crate::proxy::phases::route::routed_app::{RoutedApp, Spread, Sticky};

/// `places`: those of `app`. `before`: the app under the configuration that is replaced.
pub(in crate::proxy::phases::route) fn new(
    app: &RoutedApp,
    places: &[Arc<RoutedApp>],
    config: &Config,
    before: Option<&RoutedApp>,
) -> Spread {
    if !app.route.sticky {
        return Spread::Least(AtomicUsize::new(0));
    }
    let (session, secure) = (&config.session.cookie, config.server.public_url.secure);
    let cookie = PassCookie::new(session, app.name.as_str(), &app.route.path, secure);
    let seats = before.and_then(|before| kept(places, before));
    let seats = seats.unwrap_or_else(|| {
        let followed_one = before.is_some_and(|before| {
            before.several.is_none() && places.first().is_some_and(|first| is_same(before, first))
        });
        Arc::new(Seats::new(followed_one))
    });
    Spread::Sticky(Box::new(Sticky { seats, cookie }))
}

/// The seats under the other configuration, if their numbers mean the same places.
fn kept(places: &[Arc<RoutedApp>], before: &RoutedApp) -> Option<Arc<Seats>> {
    let several = before.several.as_ref()?;
    let Spread::Sticky(sticky) = &several.spread else { return None };
    let mut both = places.iter().zip(&several.places);
    both.all(|(new, old)| is_same(new, old)).then(|| Arc::clone(&sticky.seats))
}

/// A process is known by its number, an address by itself.
fn is_same(one: &RoutedApp, other: &RoutedApp) -> bool {
    let address = |app: &RoutedApp| app.route.upstreams.first().map(|one| one.dial.clone());
    match (one.is_one_address, other.is_one_address) {
        (false, false) => true,
        _ => address(one) == address(other),
    }
}

/// The place with the fewest requests in flight; equal ones take turns. `turn` counts the requests.
pub(super) fn least(places: &[Arc<RoutedApp>], open: Mask, turn: &AtomicUsize) -> Option<usize> {
    let first = turn.fetch_add(1, Ordering::Relaxed) % places.len().max(1);
    let in_flight = |at: &usize| places[*at].standing().map_or(0, Standing::in_flight);
    let all = (first..places.len()).chain(0..first);
    all.filter(|at| is_in(open, *at)).min_by_key(in_flight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::App;
    use crate::proxy::AppLinks;
    use crate::proxy::phases::route::routes::Routes;
    use crate::proxy::tests::{app, config};

    fn at(ports: &[u16], sticky: bool) -> App {
        let mut several = app("many", "/many", 1);
        let route = several.route.as_mut().unwrap();
        route.sticky = sticky;
        let upstream = |port| app("x", "/x", port).route.unwrap().upstreams.remove(0);
        route.upstreams = ports.iter().map(|port| upstream(*port)).collect();
        several
    }

    fn routes(app: App, before: Option<&Routes>) -> Routes {
        Routes::new(&config(8080, vec![app]), &AppLinks::default(), before)
    }

    #[test]
    fn the_fewest_requests_in_flight_and_then_the_turn_decide() {
        let routes = routes(at(&[1, 2, 3], false), None);
        let several = routes.all()[0].several.as_ref().unwrap();
        let Spread::Least(turn) = &several.spread else { panic!("not sticky") };
        let places = &several.places;
        let next = |open| least(places, open, turn);
        let turns: Vec<_> = (0..4).filter_map(|_| next(0b111)).collect();
        assert_eq!(turns, [0, 1, 2, 0]);
        let busy = [0, 2, 2].map(|at| places[at].standing().unwrap().enter());
        assert_eq!([next(0b111), next(0b111)], [Some(1); 2]);
        assert_eq!([next(0b101), next(0b101), next(0b100)], [Some(0), Some(0), Some(2)]);
        assert_eq!(next(0), None);
        drop(busy);
        let turns: Vec<_> = (0..3).filter_map(|_| next(0b110)).collect();
        assert!(turns.contains(&1) && turns.contains(&2), "{turns:?}");
    }

    #[test]
    fn seats_stay_while_their_numbers_mean_the_same_addresses() {
        let (one, two, three): (&[_], &[_], &[_]) = (&[1], &[1, 2], &[1, 2, 3]);
        for (before, sticky, after, is_kept, followed_one) in [
            (two, true, three, true, false),
            (three, true, two, true, false),
            (two, true, &[2, 1], false, false),
            (three, true, &[2, 3], false, false),
            (two, false, two, false, false),
            (one, false, two, false, true),
            (one, false, &[2, 1], false, false),
        ] {
            let (before, after) = (at(before, sticky), at(after, true));
            let before = routes(before, None);
            let after = routes(after, Some(&before));
            let seats = |routes: &Routes| match &routes.all()[0].several.as_ref()?.spread {
                Spread::Sticky(sticky) => Some(Arc::clone(&sticky.seats)),
                Spread::Least(_) => None,
            };
            let (old, new) = (seats(&before), seats(&after).unwrap());
            assert_eq!(old.is_some_and(|old| Arc::ptr_eq(&old, &new)), is_kept);
            assert_eq!(new.followed_one(), followed_one);
        }
    }
}
