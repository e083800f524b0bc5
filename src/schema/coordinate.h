/* coordinate.h - network coordinates (Vivaldi) and their requests. */
#pragma once
#include "schema/query.h"

#define COORDINATE_DIMENSIONS 8u

struct coordinate {
    struct f64list vec;
    double error;
    double adjustment;
    double height;
};

struct node_coordinate { /* Coordinate: a row of the coordinates table */
    struct str node;
    struct str segment;
    struct coordinate *coord;
};

struct coordinate_update_request { /* RPC Coordinate.Update */
    struct str datacenter;
    struct str node;
    struct str segment;
    struct coordinate *coord;
    struct write_request write;
};

struct datacenter_map {
    struct str datacenter;
    struct str area_id;
    struct objlist coordinates; /* struct node_coordinate */
};

struct indexed_coordinates {
    struct objlist coordinates; /* struct node_coordinate */
    struct query_meta meta;
};

extern const struct schema coordinate_schema, node_coordinate_schema,
    coordinate_update_request_schema, datacenter_map_schema, indexed_coordinates_schema;

/* No NaN, no infinity. */
bool coordinate_is_valid(const struct coordinate *c);
/* Round trip in seconds; infinity when either is NULL or their dimensions differ. */
double coordinate_distance(const struct coordinate *a, const struct coordinate *b);
