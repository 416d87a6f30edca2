use browser_test::Kind;
use serde_json::json;

use crate::{Scene, people};

const JOINED: &str = "document.body.dataset.path === 'connected'";

#[test]
fn the_figures_of_the_call_are_shown() {
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["<b>Bob", "Cleo"]));
        scene.wait(JOINED);
        scene.page.press("i").unwrap();
        scene.wait(
            "!document.querySelector('#panel').hidden && document.querySelector('#figures').ariaExpanded === 'true'",
        );
        scene.get("fake.send({ type: 'layer', mid: fake.slots.find(({ kind }) => kind === 'video').mid, rid: 'h', paused: null })");
        let cells = |table: &str| {
            format!(
                "[...document.querySelectorAll('#panel [data-table={table}] tr')].map(row => [...row.cells].map(cell => cell.textContent))"
            )
        };
        // The fake server draws 640 x 360, and sends less of it when the machine is busy.
        scene.wait(&format!(
            "(rows => rows.length === 2 && rows[0][0] === '<b>Bob' && /^\\d+ × \\d+$/.test(rows[0][1]) && Number(rows[0][2]) > 0
                && / [kM]bit\\/s$/.test(rows[0][3]) && /^\\d+\\.\\d %$/.test(rows[0][4]) && rows[0][5] === 'h' && rows[1][5] === '–')({})",
            cells("received")
        ));
        scene.wait(&format!(
            "(rows => rows.some(([what]) => what === 'Sound') && rows.some(([what, size]) => what.startsWith('Picture') && / × /.test(size)))({})",
            cells("sent")
        ));
        scene.wait(&format!(
            "(rows => rows.length === 3 && rows.every(row => row.slice(1).every(rate => !rate.startsWith('0 '))))({})",
            cells("shapes")
        ));
        scene.wait("/ms$/.test(document.querySelector('[data-round-trip]').textContent)");
        scene.page.click("#figures").unwrap();
        assert_eq!(
            scene.get("document.querySelector('#panel').hidden"),
            json!(true),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// Four others, a picture in three layers, sound, and a screen.
#[test]
fn the_three_shapes_are_counted_by_hand() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada", &people(&[]));
    assert_eq!(
        scene.get(
            "(async () => {
                const { oneCopy, shapes } = await import('/assets/panel.js');
                const one = oneCopy([
                    { rid: '', bitrate: 40 }, { rid: 'q', bitrate: 150 }, { rid: 'h', bitrate: 500 }, { rid: 'f', bitrate: 1_700 }, { rid: '', bitrate: 800 },
                ]);
                return [one, shapes(4, one, 3_190, 2_000)];
            })()"
        ),
        json!([2_540, {
            "here": { "up": 3_190, "down": 2_000 },
            "mesh": { "up": 10_160, "down": 10_160 },
            "mixer": { "up": 2_540, "down": 2_540 },
        }])
    );
}
