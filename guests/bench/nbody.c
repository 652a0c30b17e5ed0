/* Double: the planets Jupiter to Neptune and the sun under gravity, integrated by leapfrog.
 *
 * Square roots, divisions and long chains of dependent operations. scale = hundreds of steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BODIES 5

struct body {
    double position[3], velocity[3], mass;
};

static const double sun_mass = 39.47841760435743; /* 4 pi^2: years, astronomical units, solar masses */

static struct body bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 1.0},
    {{4.841, -1.160, -0.104}, {0.606, 2.812, -0.0253}, 0.000954},
    {{8.343, 4.125, -0.4035}, {-1.011, 1.825, 0.00842}, 0.000286},
    {{12.894, -15.111, -0.2233}, {1.083, 0.868, -0.01083}, 0.0000437},
    {{15.380, -25.919, 0.1793}, {0.979, 0.594, -0.0347}, 0.0000515},
};

static void kick(double dt)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            struct body *a = &bodies[i], *b = &bodies[j];
            double dx = a->position[0] - b->position[0];
            double dy = a->position[1] - b->position[1];
            double dz = a->position[2] - b->position[2];
            double square = dx * dx + dy * dy + dz * dz;
            double magnitude = dt * sun_mass / (square * sqrt(square));
            a->velocity[0] -= dx * b->mass * magnitude;
            a->velocity[1] -= dy * b->mass * magnitude;
            a->velocity[2] -= dz * b->mass * magnitude;
            b->velocity[0] += dx * a->mass * magnitude;
            b->velocity[1] += dy * a->mass * magnitude;
            b->velocity[2] += dz * a->mass * magnitude;
        }
}

static void drift(double dt)
{
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            bodies[i].position[axis] += dt * bodies[i].velocity[axis];
}

static double energy(void)
{
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        const struct body *a = &bodies[i];
        double speed = 0;
        for (int axis = 0; axis < 3; axis++)
            speed += a->velocity[axis] * a->velocity[axis];
        sum += 0.5 * a->mass * speed;
        for (int j = i + 1; j < BODIES; j++) {
            double square = 0;
            for (int axis = 0; axis < 3; axis++) {
                double d = a->position[axis] - bodies[j].position[axis];
                square += d * d;
            }
            sum -= sun_mass * a->mass * bodies[j].mass / sqrt(square);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    const double dt = 0.01;
    printf("nbody: energy %.17g before,\n", energy());
    for (unsigned step = 0; step < scale * 100; step++) {
        drift(dt / 2);
        kick(dt);
        drift(dt / 2);
    }
    printf("nbody: energy %.17g after %u steps, sun at %.17g\n", energy(), scale * 100, bodies[0].position[0]);
    return 0;
}
