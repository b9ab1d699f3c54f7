/* See train_team.h. A part is taken under the lock: parts are few and long. */
#include "model/train_team.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

struct train_team {
    pthread_mutex_t lock;
    pthread_cond_t wake, done; /* there are parts to take, or the end; no part is left */
    train_team_job *job;
    void *context;
    size_t next, parts, left; /* left: not done yet */
    bool ending;
    size_t threads;
    pthread_t thread[];
};

/* With the lock held, before and after. */
static void work(struct train_team *team)
{
    while (team->next < team->parts) {
        size_t part = team->next++;
        train_team_job *job = team->job;
        void *context = team->context;
        (void)pthread_mutex_unlock(&team->lock); /* is held: cannot fail, here and below */
        job(context, part);
        (void)pthread_mutex_lock(&team->lock);
        if (--team->left == 0)
            (void)pthread_cond_signal(&team->done);
    }
}

static void *member(void *context)
{
    struct train_team *team = context;
    (void)pthread_mutex_lock(&team->lock);
    while (!team->ending) {
        work(team);
        if (!team->ending)
            (void)pthread_cond_wait(&team->wake, &team->lock);
    }
    (void)pthread_mutex_unlock(&team->lock);
    return NULL;
}

struct train_team *train_team_create(size_t members)
{
    size_t others = members > 1 ? members - 1 : 0;
    struct train_team *team = calloc(1, sizeof *team + others * sizeof team->thread[0]);
    if (!team)
        return NULL;
    if (pthread_mutex_init(&team->lock, NULL) || pthread_cond_init(&team->wake, NULL) ||
        pthread_cond_init(&team->done, NULL)) {
        free(team);
        return NULL;
    }
    while (team->threads < others && pthread_create(&team->thread[team->threads], NULL, member, team) == 0)
        team->threads++;
    return team;
}

void train_team_destroy(struct train_team *team)
{
    if (!team)
        return;
    (void)pthread_mutex_lock(&team->lock);
    team->ending = true;
    (void)pthread_cond_broadcast(&team->wake);
    (void)pthread_mutex_unlock(&team->lock);
    for (size_t i = 0; i < team->threads; i++)
        (void)pthread_join(team->thread[i], NULL);
    (void)pthread_cond_destroy(&team->done);
    (void)pthread_cond_destroy(&team->wake);
    (void)pthread_mutex_destroy(&team->lock);
    free(team);
}

void train_team_run(struct train_team *team, train_team_job *job, void *context, size_t parts)
{
    (void)pthread_mutex_lock(&team->lock);
    team->job = job;
    team->context = context;
    team->next = 0;
    team->parts = team->left = parts;
    (void)pthread_cond_broadcast(&team->wake);
    work(team);
    while (team->left > 0)
        (void)pthread_cond_wait(&team->done, &team->lock);
    (void)pthread_mutex_unlock(&team->lock);
}

size_t train_team_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 1 ? (size_t)count : 1;
}
