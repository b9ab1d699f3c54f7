/* Bytes from anybody: fed to a whole ingest in pieces, before and after HELLO, with Kafka confirming,
 * refusing or full now and then. The first byte says how. Run by libFuzzer (preset fuzz), or over the corpus
 * with mutations by test_fuzz_frames. */
#include <errno.h>
#include <stdlib.h>

#include "tests/ingest/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum how {
    HOW_GREETED = 1,
    HOW_PIECES = 2,
    HOW_QUEUE_FULL = 4,
    HOW_TOO_LARGE = 8,
    HOW_FAILS = 16,
    HOW_LATE = 32
};

static void feed(struct rig *rig, struct rig_peer *peer, const uint8_t *data, size_t size, size_t step)
{
    for (size_t at = 0; at < size && rig->ingest.lists[LIST_ALL].count > 0; at += step) {
        rig_give(rig, peer, data + at, FS_MIN(step, size - at));
        if (step < size && at / step % 4 == 3)
            rig_turn(rig);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = size > 0 ? rig_create() : NULL;
    if (!rig)
        return 0;
    uint8_t how = data[0];
    struct rig_peer peer = how & HOW_GREETED ? rig_greeted(rig) : rig_connect(rig);
    if (how & HOW_QUEUE_FULL)
        fake_stream_refuse(-EAGAIN);
    if (how & HOW_TOO_LARGE)
        fake_stream_limit(100);
    feed(rig, &peer, data + 1, size - 1, how & HOW_PIECES ? 7 : size);
    rig_turn(rig);
    fake_stream_refuse(0);
    if (how & HOW_LATE)
        rig_later(rig, 4000);
    fake_stream_report_all(how & HOW_FAILS ? -EIO : how & HOW_TOO_LARGE ? -EMSGSIZE : 0);
    rig_turn(rig);
    rig_later(rig, 31000);
    rig_destroy(rig);
    rig_disconnect(&peer);
    return 0;
}
