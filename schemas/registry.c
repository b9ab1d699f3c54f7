/* See registry.h. */
#include "schemas/registry.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/url.h"

#define CONNECT_TIMEOUT_MS 2000L
#define REQUEST_TIMEOUT_MS 5000L
#define ANSWER_MAX_BYTES ((size_t)1 << 20) /* the largest schema of ours is 20 KB */
#define PATH_MAX_BYTES 512
#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"

struct registry {
    CURL *handle;
    struct curl_slist *headers;
    char *url;   /* without a slash at its end */
    char *shown; /* the same without user and password, for messages */
    struct buffer answer;
    char detail[CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t size, size_t count, void *context)
{
    struct buffer *answer = context;
    buffer_append(answer, data, size * count);
    return buffer_error(answer) ? 0 : size * count; /* 0 ends the transfer with an error */
}

static char *without_password(const char *url)
{
    struct str before, after;
    char *out;
    (void)url_split_user(url, &before, &after);
    int size = asprintf(&out, "%.*s%s", (int)before.size, before.data, after.data);
    return size < 0 ? NULL : out;
}

static bool set_up(struct registry *registry)
{
    static bool initialised;
    if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    initialised = true;
    registry->handle = curl_easy_init();
    registry->headers = curl_slist_append(NULL, "Content-Type: " MEDIA_TYPE);
    struct curl_slist *more =
        registry->headers ? curl_slist_append(registry->headers, "Accept: " MEDIA_TYPE ", application/json")
                          : NULL;
    return registry->handle && more;
}

int registry_open(const char *url, struct registry **out, char *error, size_t error_size)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        struct str before, after;
        bool user = url_split_user(url, &before, &after);
        (void)snprintf(error, error_size,
                       "service.schema_registry=%.*s%s%s is no URL: http://HOST:PORT or "
                       "https://HOST:PORT[/PATH]",
                       (int)before.size, before.data, user ? "(set)@" : "", after.data);
        return -EINVAL;
    }
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry) {
        buffer_init(&registry->answer, ANSWER_MAX_BYTES);
        registry->url = strdup(url);
        registry->shown = without_password(url);
    }
    if (!registry || !registry->url || !registry->shown || !set_up(registry)) {
        registry_close(registry);
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    for (size_t end = strlen(registry->url); end > 0 && registry->url[end - 1] == '/'; end--)
        registry->url[end - 1] = '\0';
    *out = registry;
    return 0;
}

void registry_close(struct registry *registry)
{
    if (!registry)
        return;
    curl_slist_free_all(registry->headers);
    curl_easy_cleanup(registry->handle);
    buffer_fini(&registry->answer);
    free(registry->url);
    free(registry->shown);
    free(registry);
}

/* The registry's own words about an error, cut at the first line's end. */
static void read_reason(const struct registry *registry, char *out, size_t size)
{
    json_t *answer = json_loadb((const char *)registry->answer.data, registry->answer.size, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "message"));
    (void)str_copy(out, size, str_of(text ? text : ""));
    out[strcspn(out, "\r\n")] = '\0';
    json_decref(answer);
}

static int judge_status(const struct registry *registry, long status, char *error, size_t error_size)
{
    char reason[300];
    if (status >= 200 && status < 300)
        return 0;
    read_reason(registry, reason, sizeof reason);
    (void)snprintf(error, error_size, "schema registry at %s answers %ld%s%s", registry->shown, status,
                   reason[0] ? ": " : "", reason);
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
    case 422:
        return -EINVAL;
    default:
        return status >= 500 ? -EHOSTDOWN : -EPROTO;
    }
}

/* One request; the answer's body is in registry->answer. body NULL: GET. */
static int request(struct registry *registry, const char *method, const char *path, const char *body,
                   char *error, size_t error_size)
{
    char url[PATH_MAX_BYTES + 512];
    CURL *handle = registry->handle;
    long status = 0;
    if (snprintf(url, sizeof url, "%s%s", registry->url, path) >= (int)sizeof url) {
        (void)snprintf(error, error_size, "service.schema_registry is too long");
        return -EINVAL;
    }
    buffer_reset(&registry->answer);
    registry->detail[0] = '\0';
    curl_easy_reset(handle); /* keeps the connection */
    /* These fail only for options this libcurl was built without; the request then fails and says so. */
    (void)curl_easy_setopt(handle, CURLOPT_URL, url);
    (void)curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, REQUEST_TIMEOUT_MS);
    (void)curl_easy_setopt(handle, CURLOPT_HTTPHEADER, registry->headers);
    (void)curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, registry->detail);
    (void)curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(handle, CURLOPT_WRITEDATA, &registry->answer);
    if (body) {
        (void)curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
        (void)curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    }
    CURLcode code = curl_easy_perform(handle);
    if (code != CURLE_OK) {
        (void)snprintf(
            error, error_size,
            "cannot reach the schema registry at %s (%s): is it running there? Set its address with "
            "service.schema_registry, or leave that empty",
            registry->shown, registry->detail[0] ? registry->detail : curl_easy_strerror(code));
        return -EHOSTDOWN;
    }
    (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return judge_status(registry, status, error, error_size);
}

/* Sends an object, which it releases. */
static int send_object(struct registry *registry, const char *method, const char *path, json_t *object,
                       char *error, size_t error_size)
{
    char *body = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int result = -ENOMEM;
    json_decref(object);
    if (body)
        result = request(registry, method, path, body, error, error_size);
    else
        (void)snprintf(error, error_size, "out of memory");
    free(body);
    return result;
}

static int not_understood(const struct registry *registry, char *error, size_t error_size)
{
    (void)snprintf(
        error, error_size,
        "%s does not answer as a schema registry: give the URL of its Confluent-compatible interface "
        "(Apicurio: http://HOST:PORT/apis/ccompat/v7)",
        registry->shown);
    return -EPROTO;
}

int registry_register(struct registry *registry, const char *subject, struct str json, uint32_t *id,
                      char *error, size_t error_size)
{
    char path[PATH_MAX_BYTES], why[512];
    (void)snprintf(path, sizeof path, "/subjects/%s/versions",
                   subject); /* Kafka: at most 249 of [A-Za-z0-9._-] */
    int result = send_object(registry, "POST", path, json_pack("{s:s%}", "schema", json.data, json.size), why,
                             sizeof why);
    if (result == -ENOENT || result == -EPROTO) /* the path itself is unknown */
        return not_understood(registry, error, error_size);
    if (result < 0) {
        (void)snprintf(error, error_size, "the schema of subject %s was not registered: %s", subject, why);
        return result;
    }
    json_t *answer = json_loadb((const char *)registry->answer.data, registry->answer.size, 0, NULL);
    const json_t *number = json_object_get(answer, "id");
    json_int_t value = json_is_integer(number) ? json_integer_value(number) : -1;
    json_decref(answer);
    if (value < 0 || value > UINT32_MAX)
        return not_understood(registry, error, error_size);
    *id = (uint32_t)value;
    return 0;
}

int registry_fetch(struct registry *registry, uint32_t id, struct buffer *json, char *error,
                   size_t error_size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/schemas/ids/%u", id);
    int result = request(registry, "GET", path, NULL, error, error_size);
    if (result < 0)
        return result;
    json_t *answer = json_loadb((const char *)registry->answer.data, registry->answer.size, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "schema"));
    if (text)
        buffer_append_str(json, str_of(text));
    json_decref(answer);
    return text ? buffer_error(json) : not_understood(registry, error, error_size);
}

int registry_set_compatibility(struct registry *registry, const char *subject, const char *level, char *error,
                               size_t error_size)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "/config/%s", subject);
    return send_object(registry, "PUT", path, json_pack("{s:s}", "compatibility", level), error, error_size);
}
