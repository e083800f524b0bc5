#include "schema/coordinate.h"

#include <math.h>

/* clang-format off */
static const struct field coordinate_fields[] = {
    F_F64LIST(struct coordinate, vec, "Vec", 0),
    F_FLOAT(struct coordinate, error, "Error", 0),
    F_FLOAT(struct coordinate, adjustment, "Adjustment", 0),
    F_FLOAT(struct coordinate, height, "Height", 0),
    FIELDS_END,
};
const struct schema coordinate_schema = SCHEMA("Coordinate", struct coordinate, coordinate_fields);

static const struct field node_coordinate_fields[] = {
    F_STR(struct node_coordinate, node, "Node", 0),
    F_STR(struct node_coordinate, segment, "Segment", 0),
    F_PTR(struct node_coordinate, coord, struct coordinate, "Coord", 0, &coordinate_schema),
    FIELDS_END,
};
const struct schema node_coordinate_schema =
    SCHEMA("Coordinate", struct node_coordinate, node_coordinate_fields);

static const struct field coordinate_update_request_fields[] = {
    F_STR(struct coordinate_update_request, datacenter, "Datacenter", 0),
    F_STR(struct coordinate_update_request, node, "Node", 0),
    F_STR(struct coordinate_update_request, segment, "Segment", 0),
    F_PTR(struct coordinate_update_request, coord, struct coordinate, "Coord", 0,
          &coordinate_schema),
    F_SPLICE(struct coordinate_update_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema coordinate_update_request_schema = SCHEMA(
    "CoordinateUpdateRequest", struct coordinate_update_request, coordinate_update_request_fields);

static const struct field datacenter_map_fields[] = {
    F_STR(struct datacenter_map, datacenter, "Datacenter", 0),
    F_STR(struct datacenter_map, area_id, "AreaID", 0),
    F_OBJLIST(struct datacenter_map, coordinates, "Coordinates", 0, &node_coordinate_schema),
    FIELDS_END,
};
const struct schema datacenter_map_schema =
    SCHEMA("DatacenterMap", struct datacenter_map, datacenter_map_fields);

static const struct field indexed_coordinates_fields[] = {
    F_OBJLIST(struct indexed_coordinates, coordinates, "Coordinates", 0, &node_coordinate_schema),
    F_SPLICE(struct indexed_coordinates, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_coordinates_schema =
    SCHEMA("IndexedCoordinates", struct indexed_coordinates, indexed_coordinates_fields);
/* clang-format on */

bool coordinate_is_valid(const struct coordinate *c)
{
    for (size_t i = 0; i < c->vec.n; i++) {
        if (!isfinite(c->vec.v[i])) {
            return false;
        }
    }
    return isfinite(c->error) && isfinite(c->adjustment) && isfinite(c->height);
}

double coordinate_distance(const struct coordinate *a, const struct coordinate *b)
{
    if (a == NULL || b == NULL || a->vec.n != b->vec.n) {
        return INFINITY;
    }
    double sum = 0;
    for (size_t i = 0; i < a->vec.n; i++) {
        double d = a->vec.v[i] - b->vec.v[i];
        sum += d * d;
    }
    double distance = sqrt(sum) + a->height + b->height;
    double adjusted = distance + a->adjustment + b->adjustment;
    /* Whole nanoseconds, so that equal times sort as equal. */
    return trunc((adjusted > 0 ? adjusted : distance) * 1e9) / 1e9;
}
