/* Each round trip is a spring between us and the other: where the distance of the coordinates says
 * less than was measured it pushes, else it pulls, the more so the surer the other is of its place.
 * Then the whole drifts a little towards the origin, lest all coordinates wander off together.
 *
 * What does not fit into a plane: the height stands for the way out to the network, the adjustment
 * for what is left over (the mean of the last errors, halved since both ends have one).
 *
 * A coordinate of a peer is only checked for finite numbers, as in the reference; what a hostile
 * one can do to ours ends with a reset when it overflows. */
#include "gossip/core/vivaldi.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

#include <math.h>

#define ERROR_MAX 1.5
#define ERROR_GAIN 0.25
#define FORCE_GAIN 0.25
#define ADJUSTMENT_WINDOW 20u
#define HEIGHT_MIN 10e-6 /* seconds */
#define FILTER_SIZE 3u
#define GRAVITY_RHO 150.0
#define ZERO 1e-6
#define RTT_NS_MAX (10 * NS_PER_SEC)

struct filter { /* of one peer: its last round trips, oldest first */
    double rtt[FILTER_SIZE];
    size_t count;
};

struct vivaldi {
    struct coordinate coordinate; /* its vec is the next member */
    double vec[COORDINATE_DIMENSIONS];
    double adjustments[ADJUSTMENT_WINDOW];
    size_t adjustments_pos;
    struct map filters; /* by name */
    uint64_t resets;
};

static void reset(struct vivaldi *v)
{
    memset(v->vec, 0, sizeof(v->vec));
    memset(v->adjustments, 0, sizeof(v->adjustments));
    v->coordinate = (struct coordinate){
        .vec = {v->vec, COORDINATE_DIMENSIONS}, .error = ERROR_MAX, .height = HEIGHT_MIN};
}

struct vivaldi *vivaldi_new(void)
{
    struct vivaldi *v = xcalloc(1, sizeof(*v));
    reset(v);
    return v;
}

struct vivaldi *vivaldi_free(struct vivaldi *v)
{
    if (v != NULL) {
        size_t pos = 0;
        struct str name;
        void *filter;
        while (map_next(&v->filters, &pos, &name, &filter)) {
            (void)mem_free(filter);
        }
        map_deinit(&v->filters);
    }
    return mem_free(v);
}

const struct coordinate *vivaldi_coordinate(const struct vivaldi *v)
{
    return &v->coordinate;
}

uint64_t vivaldi_resets(const struct vivaldi *v)
{
    return v->resets;
}

void vivaldi_forget(struct vivaldi *v, struct str name)
{
    (void)mem_free(map_remove(&v->filters, name));
}

/* The median of the last round trips to this peer, this one among them. */
static double filtered(struct vivaldi *v, struct str name, double rtt)
{
    struct filter *f = map_get(&v->filters, name);
    if (f == NULL) {
        f = xcalloc(1, sizeof(*f));
        (void)map_put(&v->filters, name, f);
    }
    if (f->count == FILTER_SIZE) {
        memmove(f->rtt, f->rtt + 1, (FILTER_SIZE - 1) * sizeof(f->rtt[0]));
        f->count--;
    }
    f->rtt[f->count++] = rtt;
    _Static_assert(FILTER_SIZE == 3, "the median of three is written out");
    double a = f->rtt[0], b = f->rtt[f->count > 1 ? 1 : 0], c = f->rtt[f->count - 1];
    return f->count < 3 ? fmax(a, b) : fmax(fmin(a, b), fmin(fmax(a, b), c));
}

static double magnitude(const double v[COORDINATE_DIMENSIONS])
{
    double sum = 0;
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        sum += v[i] * v[i];
    }
    return sqrt(sum);
}

/* From `other` to us; the distance is returned. */
static double direction(const struct vivaldi *v, const double *other,
                        double ret_unit[COORDINATE_DIMENSIONS], struct rng *rng)
{
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        ret_unit[i] = v->vec[i] - other[i];
    }
    double distance = magnitude(ret_unit), length = distance;
    if (!(distance > ZERO)) { /* on top of each other: anywhere */
        distance = 0;
        for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
            ret_unit[i] = rng_f64(rng) - 0.5;
        }
        length = magnitude(ret_unit);
    }
    if (!(length > ZERO)) {
        ret_unit[0] = length = 1;
    }
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        ret_unit[i] /= length;
    }
    return distance;
}

/* Push away from the other; a negative force pulls. */
static void push(struct vivaldi *v, struct rng *rng, double force, const double *other,
                 double other_height)
{
    double unit[COORDINATE_DIMENSIONS];
    double distance = direction(v, other, unit, rng);
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        v->vec[i] += unit[i] * force;
    }
    if (distance > ZERO) {
        double height = v->coordinate.height;
        height += (height + other_height) * force / distance;
        v->coordinate.height = height < HEIGHT_MIN ? HEIGHT_MIN : height;
    }
}

static void update_position(struct vivaldi *v, struct rng *rng, const struct coordinate *other,
                            double rtt)
{
    struct coordinate *c = &v->coordinate;
    double distance = coordinate_distance(c, other);
    rtt = fmax(rtt, ZERO);
    double weight = c->error / fmax(c->error + other->error, ZERO);
    double wrongness = fabs(distance - rtt) / rtt;
    c->error = ERROR_GAIN * weight * wrongness + c->error * (1 - ERROR_GAIN * weight);
    if (c->error >
        ERROR_MAX) { /* not fmin(): what is no number stays so, and is found at the end */
        c->error = ERROR_MAX;
    }
    push(v, rng, FORCE_GAIN * weight * (rtt - distance), other->vec.v, other->height);
}

static void update_adjustment(struct vivaldi *v, const struct coordinate *other, double rtt)
{
    struct coordinate *c = &v->coordinate;
    double between[COORDINATE_DIMENSIONS], sum = 0;
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        between[i] = v->vec[i] - other->vec.v[i];
    }
    v->adjustments[v->adjustments_pos++ % ADJUSTMENT_WINDOW] =
        rtt - (magnitude(between) + c->height + other->height);
    for (size_t i = 0; i < ADJUSTMENT_WINDOW; i++) {
        sum += v->adjustments[i];
    }
    c->adjustment = sum / (2.0 * ADJUSTMENT_WINDOW);
}

static void update_gravity(struct vivaldi *v, struct rng *rng)
{
    static const double zero[COORDINATE_DIMENSIONS];
    const struct coordinate origin = {.vec = {zero, COORDINATE_DIMENSIONS}, .height = HEIGHT_MIN};
    double pull = coordinate_distance(&origin, &v->coordinate) / GRAVITY_RHO;
    push(v, rng, -(pull * pull), origin.vec.v, origin.height);
}

int vivaldi_update(struct vivaldi *v, struct rng *rng, struct str name,
                   const struct coordinate *other, uint64_t rtt_ns, struct err *err)
{
    if (other->vec.n != COORDINATE_DIMENSIONS) {
        return err_set(err, ERR_INVALID, "dimensions aren't compatible");
    }
    if (!coordinate_is_valid(other)) {
        return err_set(err, ERR_INVALID, "coordinate is invalid");
    }
    if (rtt_ns > RTT_NS_MAX) {
        return err_set(err, ERR_INVALID, "round trip time of %llu ms is over the maximum of 10s",
                       (unsigned long long)(rtt_ns / NS_PER_MS));
    }
    double rtt = filtered(v, name, (double)rtt_ns / (double)NS_PER_SEC);
    update_position(v, rng, other, rtt);
    update_adjustment(v, other, rtt);
    update_gravity(v, rng);
    if (!coordinate_is_valid(&v->coordinate)) {
        v->resets++;
        reset(v);
    }
    return 0;
}
