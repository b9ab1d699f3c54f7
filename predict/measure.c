/* The service's numbers. See predict.h. */
#include "predict/predict.h"

static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                 0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

static struct metric *counter(struct predict *predict, const char *name, const char *help)
{
    return metrics_counter(predict->service->metrics, name, help, NULL, NULL);
}

static struct metric *gauge(struct predict *predict, const char *name, const char *help)
{
    return metrics_gauge(predict->service->metrics, name, help, NULL, NULL);
}

static struct metric *histogram(struct predict *predict, const char *name, const char *help)
{
    return metrics_histogram(predict->service->metrics, name, help, seconds, FS_COUNT(seconds));
}

static void open_telemetry(struct predict *predict, struct predict_metrics *m)
{
    m->ticks = counter(predict, "ticks_total", "ticks read");
    m->repeats = counter(predict, "repeats_total", "ticks read again and dropped");
    m->samples = counter(predict, "samples_total", "samples stepped");
    m->muted = counter(predict, "muted_samples_total", "samples that only built state");
    m->waves = counter(predict, "steps_total", "batched steps of the network");
    m->rewound = counter(predict, "rewinds_total", "partitions read again from further back");
    m->attempts = counter(predict, "attempts_total", "attempts seen");
    m->executions = gauge(predict, "attempts", "attempts whose state is kept");
    m->evicted =
        counter(predict, "attempts_evicted_total", "states dropped because predict.executions was reached");
    m->idle = counter(predict, "attempts_idle_total", "states dropped after predict.idle without a sample");
    m->nodes = gauge(predict, "nodes", "nodes whose ticks are read");
    for (int kind = 0; kind < MSG_RISK_KIND_COUNT; kind++)
        m->risks[kind] = metrics_counter(predict->service->metrics, "risks_total", "risks told", "kind",
                                         msg_risk_kind_name((enum msg_risk_kind)kind));
    m->quarantined = counter(predict, "quarantined_total", "messages that could not be read");
    m->oversized = counter(predict, "oversized_total", "messages Kafka refused for their size");
    m->open_batches = gauge(predict, "open_batches", "batches not yet wholly in Kafka");
    m->step_seconds = histogram(predict, "step_seconds", "time of a batch's features, steps and risks");
    m->sampled_seconds = histogram(predict, "sampled_to_told_seconds", "from a sample to its risk");
    m->consumed_seconds = histogram(predict, "consumed_to_told_seconds", "from reading a tick to its risk");
}

static void open_codes(struct predict *predict, struct predict_metrics *m)
{
    m->records = counter(predict, "records_total", "finished executions counted");
    m->records_repeated =
        counter(predict, "records_repeated_total", "finished executions that were in their profile already");
    m->learned = counter(predict, "learned_ticks_total", "ticks of finished executions learned from");
    m->codes = gauge(predict, "codes", "profiles kept in memory");
    m->codes_evicted =
        counter(predict, "codes_evicted_total", "profiles dropped because predict.codes was reached");
    m->codes_read = counter(predict, "codes_read_total", "profiles read from the topic");
    m->codes_refused = counter(predict, "codes_refused_total", "profiles that could not be used");
    m->codes_reread =
        counter(predict, "codes_reread_total", "dropped profiles looked for in the topic again");
    m->codes_deleted = counter(predict, "codes_deleted_total", "profiles deleted after predict.code_idle");
}

static void open_models(struct predict *predict, struct predict_metrics *m)
{
    static const char *const roles[2] = {"champion", "challenger"};
    struct metrics *metrics = predict->service->metrics;
    m->models_refused = counter(predict, "models_refused_total", "models that could not be used");
    m->swaps = counter(predict, "champions_total", "champions that took over");
    m->fallback = gauge(predict, "fallback", "1 while histograms decide");
    m->warming = gauge(predict, "warming", "1 while the next champion warms up");
    m->shadow_ticks = counter(predict, "shadow_samples_total", "samples a challenger scored as well");
    m->shadow_distance =
        counter(predict, "shadow_distance_total", "sum of the challenger's distances in probability");
    for (int i = 0; i < 2; i++) {
        m->score_ticks[i] = metrics_counter(metrics, "scored_labels_total", "labels scored before learning",
                                            "role", roles[i]);
        m->score_log_loss[i] =
            metrics_counter(metrics, "log_loss_total", "sum of log losses", "role", roles[i]);
        m->score_squared_error[i] =
            metrics_counter(metrics, "squared_error_total", "sum of squared errors", "role", roles[i]);
    }
    m->connected = gauge(predict, "connected", "1 while Kafka answers");
    m->assigned = gauge(predict, "partitions", "partitions assigned");
}

void predict_metrics_open(struct predict *predict)
{
    open_telemetry(predict, &predict->metrics);
    open_codes(predict, &predict->metrics);
    open_models(predict, &predict->metrics);
}

/* A counter that is kept elsewhere. */
static void follow(struct metric *metric, double value)
{
    metric_add(metric, value - metric_value(metric));
}

static void show_scores(struct predict *predict, struct predict_metrics *m)
{
    for (int i = 0; i < 2; i++) {
        const struct learn_score *score = learner_score(predict->learner, i == 1);
        follow(m->score_ticks[i], (double)score->ticks);
        follow(m->score_log_loss[i], score->log_loss);
        follow(m->score_squared_error[i], score->squared_error);
    }
}

void predict_metrics_show(struct predict *predict)
{
    struct predict_metrics *m = &predict->metrics;
    const struct engine_counters *counters = engine_counters(predict->engine);
    follow(m->samples, (double)counters->samples);
    follow(m->muted, (double)counters->muted);
    follow(m->waves, (double)counters->waves);
    follow(m->attempts, (double)counters->attempts);
    follow(m->idle, (double)counters->idle);
    follow(m->evicted, (double)engine_evicted(predict->engine));
    follow(m->swaps, (double)counters->swaps);
    follow(m->shadow_ticks, (double)counters->shadow_ticks);
    follow(m->shadow_distance, counters->shadow_distance);
    for (int kind = 0; kind < MSG_RISK_KIND_COUNT; kind++)
        follow(m->risks[kind], (double)counters->risks[kind]);
    follow(m->codes_evicted, (double)codes_evicted(predict->codes));
    metric_set(m->executions, (double)engine_running(predict->engine));
    metric_set(m->nodes, (double)table_count(predict->nodes));
    metric_set(m->codes, (double)codes_count(predict->codes));
    metric_set(m->open_batches, (double)ledger_open_batches(predict->ledger));
    metric_set(m->fallback, engine_champion(predict->engine) ? 0 : 1);
    metric_set(m->warming, engine_warming(predict->engine) ? 1 : 0);
    metric_set(m->connected, stream_connected(predict->stream) ? 1 : 0);
    metric_set(m->assigned, (double)stream_assigned_count(predict->stream));
    show_scores(predict, m);
}
