/* An instance of `forestall local`: one directory, one lock, one description that other commands find it by.
 *
 * STATE/local.lock is held (an open file description lock) by the running instance, from before its first
 * service starts until after its last one is gone; the kernel releases it however the instance ends.
 * STATE/users.lock is held shared by whoever needs the instance to go on; one that was started for its users
 * only stops once it gets it exclusively. STATE/local.json is written when everything is ready and removed
 * when the end begins. */
#ifndef FORESTALL_CLI_INSTANCE_H
#define FORESTALL_CLI_INSTANCE_H

#include "common/base.h"

#define INSTANCE_SERVICES_MAX 16
#define INSTANCE_LOCK "local.lock"
#define INSTANCE_USERS "users.lock"
#define INSTANCE_FILE "local.json"
#define INSTANCE_CONFIG "forestall.ini"

struct instance_service {
    char name[32];
    int64_t pid, http_port; /* http_port 0: none */
};

struct instance {
    int64_t pid, started_us;
    char state_dir[4096], config[4200]; /* config: the services' INI file */
    char brokers[512], redis[512], topic_prefix[128], redis_prefix[128], pool[128], node[256], ingest[64];
    bool embedded;   /* the broker is the embedded one: it promises nothing */
    bool while_used; /* stops with its last user */
    struct instance_service services[INSTANCE_SERVICES_MAX];
    size_t service_count;
};

/* $FORESTALL_STATE, else /var/lib/forestall/local. */
const char *instance_default_dir(void);
/* Makes the directory and its parents (mode 0711). 0 or negative errno. */
FS_MUST_CHECK int instance_make_dir(const char *state_dir);

/* Replaces the services' INI file (instance->config). Only its owner can read it, from its first byte on: it
 * may hold passwords. 0 or negative errno, the old file is untouched then. */
FS_MUST_CHECK int instance_save_config(const struct instance *instance, struct str text);

/* The descriptor that holds the lock; -EBUSY: an instance runs there; other negative errno. */
FS_MUST_CHECK int instance_lock(const char *state_dir);
/* Does not disturb an instance that is just starting. 1, 0, negative errno (-ENOENT: no such directory or
 * never used). */
FS_MUST_CHECK int instance_running(const char *state_dir);

/* The descriptor that holds the shared lock; waits up to timeout_ms while an instance is ending: -ETIMEDOUT.
 */
FS_MUST_CHECK int instance_use(const char *state_dir, int timeout_ms);
/* 0: fd (of instance_open_users) holds the lock exclusively now: nobody uses the instance, nobody can begin.
 * -EAGAIN. */
FS_MUST_CHECK int instance_claim_unused(int fd);
FS_MUST_CHECK int instance_open_users(const char *state_dir);

/* local.json, atomically. */
FS_MUST_CHECK int instance_save(const struct instance *instance);
/* -ENOENT: none ready there (also when the file was left behind by a killed one); -EBADMSG. */
FS_MUST_CHECK int instance_load(const char *state_dir, struct instance *out);
void instance_remove(const char *state_dir);

#endif
