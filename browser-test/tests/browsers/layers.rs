use std::time::{Duration, Instant};

use browser_test::{Kind, Viewport};

use crate::BOTH;
use crate::arena::{Arena, received};

/// The whole picture comes only once the publisher has found out that its link carries it.
const WARM: Duration = Duration::from_secs(60);

const LARGE: Viewport = Viewport {
    width: 1600,
    height: 1000,
    ..Viewport::DESKTOP
};
const SMALL: Viewport = Viewport {
    width: 360,
    height: 300,
    ..Viewport::DESKTOP
};

/// A viewer's tile becomes small and large again: what comes has the size of the tile, and never stops.
#[test]
fn a_viewer_gets_the_layer_that_its_tile_wants() {
    for publisher in BOTH {
        let arena = Arena::new();
        let ada = arena.join(publisher, "Ada");
        let bob = arena.join(Kind::Chromium, "Bob");
        bob.page.set_viewport(LARGE).unwrap();
        bob.wait_to_see_and_hear("Ada");
        let sent = "[...(await hyaline.room.getStats()).values()].filter(entry => entry.type === 'outbound-rtp' && entry.kind === 'video')";
        assert_eq!(
            ada.get(&format!("({sent}).map(entry => entry.rid).sort()")),
            serde_json::json!(["f", "h", "q"])
        );
        let width = format!("(await ({}))?.frameWidth", received("Ada", "video"));
        bob.wait(&format!("{width} === 1280"), WARM);
        for (size, right) in [(SMALL, format!("{width} < 1280")), (LARGE, format!("{width} === 1280"))] {
            // Nobody wants the other layer any more, and the publisher stops it.
            bob.page.set_viewport(size).unwrap();
            let begin = Instant::now();
            bob.wait(&right, WARM);
            let took = begin.elapsed();
            println!("{publisher}: the right layer came after {took:?}");
            assert!(
                took < Duration::from_secs(2),
                "{publisher}: the right layer came after {took:?}"
            );
            if size == SMALL {
                let whole = format!("({sent}).find(entry => entry.rid === 'f').active");
                ada.wait(&format!("!{whole}"), WARM);
            }
        }
        // Nothing was lost on the way, nor looked like it.
        let lost = bob.get(&format!("(await ({})).packetsLost", received("Ada", "video")));
        assert_eq!(lost, serde_json::json!(0), "{publisher}");
    }
}
