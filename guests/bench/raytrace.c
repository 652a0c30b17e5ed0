/* Single: trace rays through a scene of spheres above a floor, with shadows and one light.
 *
 * Vectors of floats passed by value, square roots, many branches. scale = number of lines of 64 pixels. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH 64
#define SPHERES 6
#define FAR 1e9f

struct vector {
    float x, y, z;
};

struct sphere {
    struct vector centre;
    float radius, brightness, mirror;
};

static const struct sphere spheres[SPHERES] = {
    {{0, 0, 6}, 1.2f, 0.9f, 0.5f},        {{-2, 0.5f, 7}, 1, 0.7f, 0.3f},  {{2.2f, -0.3f, 5}, 0.8f, 0.8f, 0.2f},
    {{0.8f, 1.3f, 4.5f}, 0.4f, 1, 0},     {{-1, -0.8f, 4}, 0.5f, 0.6f, 0}, {{0, 2.4f, 9}, 1.5f, 0.5f, 0.6f},
};
static const struct vector light = {4, 6, -2};

static struct vector add(struct vector a, struct vector b) { return (struct vector){a.x + b.x, a.y + b.y, a.z + b.z}; }
static struct vector scale_by(struct vector a, float f) { return (struct vector){a.x * f, a.y * f, a.z * f}; }
static struct vector subtract(struct vector a, struct vector b) { return add(a, scale_by(b, -1)); }
static float dot(struct vector a, struct vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static struct vector normalise(struct vector a) { return scale_by(a, 1 / sqrtf(dot(a, a))); }

/* Distance along the ray to the sphere's near side; FAR if it misses. */
static float intersect(const struct sphere *s, struct vector origin, struct vector direction)
{
    struct vector to_centre = subtract(s->centre, origin);
    float along = dot(to_centre, direction);
    float discriminant = along * along - dot(to_centre, to_centre) + s->radius * s->radius;
    if (discriminant < 0)
        return FAR;
    float distance = along - sqrtf(discriminant);
    return distance > 1e-3f ? distance : FAR;
}

static const struct sphere *nearest(struct vector origin, struct vector direction, float *distance)
{
    const struct sphere *hit = NULL;
    *distance = FAR;
    for (int i = 0; i < SPHERES; i++) {
        float d = intersect(&spheres[i], origin, direction);
        if (d < *distance) {
            *distance = d;
            hit = &spheres[i];
        }
    }
    return hit;
}

static float shade(struct vector point, struct vector normal, float brightness)
{
    float distance;
    struct vector to_light = normalise(subtract(light, point));
    float lit = dot(normal, to_light);
    if (lit < 0 || nearest(point, to_light, &distance) != NULL)
        lit = 0;
    return brightness * (0.15f + 0.85f * lit);
}

static float trace(struct vector origin, struct vector direction, int depth)
{
    float distance;
    const struct sphere *hit = nearest(origin, direction, &distance);
    if (hit != NULL) {
        struct vector point = add(origin, scale_by(direction, distance));
        struct vector normal = scale_by(subtract(point, hit->centre), 1 / hit->radius);
        float colour = shade(point, normal, hit->brightness);
        if (hit->mirror > 0 && depth < 3) {
            struct vector reflected = subtract(direction, scale_by(normal, 2 * dot(direction, normal)));
            colour = colour * (1 - hit->mirror) + hit->mirror * trace(point, reflected, depth + 1);
        }
        return colour;
    }
    if (direction.y < -1e-3f) { /* the floor, a chequerboard at y = -1.5 */
        struct vector point = add(origin, scale_by(direction, (-1.5f - origin.y) / direction.y));
        if (point.x * point.x + point.z * point.z < 400)
            return shade(point, (struct vector){0, 1, 0}, ((int)(point.x + 100) + (int)(point.z + 100)) & 1 ? 0.9f : 0.3f);
    }
    return 0.2f + 0.3f * direction.y * direction.y;
}

int main(int argc, char **argv)
{
    unsigned lines = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0;
    float total = 0;
    for (unsigned line = 0; line < lines; line++)
        for (unsigned column = 0; column < WIDTH; column++) {
            struct vector direction = {(column + 0.5f) / WIDTH - 0.5f, 0.5f - (line + 0.5f) / lines, 1};
            float colour = trace((struct vector){0, 0.4f, -1}, normalise(direction), 0);
            total += colour;
            checksum = checksum * 5 + (uint32_t)(int)(colour * 255);
        }
    printf("raytrace: %u lines, light %.9g, checksum %08x\n", lines, total, (unsigned)checksum);
    return 0;
}
