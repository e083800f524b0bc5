/* Any bytes as Serf's messages, by the type byte; as tags and coordinates, by two more that Serf
 * does not have. What was understood is written so that it comes out the same again. */
#include "gossip_again.h"
#include "proto/serf.h"
#include "schema/member.h"

#define TYPE_FILTER 0x10u
#define TYPE_COORDINATE 0x11u
#define TYPE_ADDRESS 0x12u
#define TYPE_TAGS 0xffu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REWRITE(type, decode, encode) \
    {                                 \
        type m;                       \
        if ((r = (decode)) >= 0) {    \
            (encode);                 \
        }                             \
        break;                        \
    }

static int rewrite(struct str s, struct arena *a, struct buf *to, struct err *err)
{
    struct str body = str_from(s, 1);
    uint8_t type = (uint8_t)s.p[0];
    int r = 0;
    switch (type) {
    case SERF_JOIN:
    case SERF_LEAVE:
        REWRITE(struct serf_intent, serf_intent_decode(body, &m, err),
                serf_intent_encode((enum serf_type)type, &m, to))
    case SERF_PUSH_PULL:
        REWRITE(struct serf_push_pull, serf_push_pull_decode(body, a, &m, err),
                serf_push_pull_encode(&m, to))
    case SERF_USER_EVENT:
        REWRITE(struct serf_user_event, serf_user_event_decode(body, &m, err),
                serf_user_event_encode(&m, to))
    case SERF_QUERY:
        REWRITE(struct serf_query, serf_query_decode(body, a, &m, err), serf_query_encode(&m, to))
    case SERF_QUERY_RESPONSE:
        REWRITE(struct serf_query_response, serf_query_response_decode(body, &m, err),
                serf_query_response_encode(&m, to))
    case SERF_CONFLICT_RESPONSE:
        REWRITE(struct member, serf_conflict_response_decode(body, a, &m, err),
                serf_conflict_response_encode(&m, to))
    case SERF_KEY_REQUEST:
        REWRITE(struct str, serf_key_request_decode(body, &m, err), serf_key_request_encode(m, to))
    case SERF_KEY_RESPONSE:
        REWRITE(struct serf_key_response, serf_key_response_decode(body, a, &m, err),
                serf_key_response_encode(&m, to))
    case SERF_RELAY:
        REWRITE(struct serf_relay, serf_relay_decode(body, &m, err), serf_relay_encode(&m, to))
    case TYPE_FILTER: {
        struct serf_filter m;
        if ((r = serf_filter_decode(body, a, &m, err)) >= 0) {
            buf_byte(to, type);
            serf_filter_encode(&m, to);
        }
        break;
    }
    case TYPE_COORDINATE: {
        struct coordinate m;
        if ((r = serf_ack_payload_decode(body, a, &m, err)) >= 0) {
            buf_byte(to, type);
            serf_ack_payload_encode(&m, to);
        }
        break;
    }
    case TYPE_ADDRESS: {
        struct gossip_address m;
        if (!gossip_address_parse_ip(body, &m)) {
            return err_set(err, ERR_INVALID, "no IP address");
        }
        buf_byte(to, type);
        gossip_address_format_ip(&m, to);
        break;
    }
    case TYPE_TAGS:
        REWRITE(struct strmap, serf_tags_decode(s, a, &m, err), serf_tags_encode(&m, to))
    default:
        return err_set(err, ERR_INVALID, "of no type");
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        again_check(rewrite, str_make(data, size));
    }
    return 0;
}
