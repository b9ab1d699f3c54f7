/* The service's numbers. See predict.h. */
#include "predict/predict.h"

#define FIELD(field) offsetof(struct predict_metrics, field)

static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                 0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

static const struct metrics_row rows[] = {
    /* telemetry */
    {METRICS_COUNTER, FIELD(ticks), "ticks_total", "ticks read"},
    {METRICS_COUNTER, FIELD(repeats), "repeats_total", "ticks read again and dropped"},
    {METRICS_COUNTER, FIELD(samples), "samples_total", "samples stepped"},
    {METRICS_COUNTER, FIELD(muted), "muted_samples_total", "samples that only built state"},
    {METRICS_COUNTER, FIELD(waves), "steps_total", "batched steps of the network"},
    {METRICS_COUNTER, FIELD(rewound), "rewinds_total", "partitions read again from further back"},
    {METRICS_COUNTER, FIELD(attempts), "attempts_total", "attempts seen"},
    {METRICS_GAUGE, FIELD(executions), "attempts", "attempts whose state is kept"},
    {METRICS_COUNTER, FIELD(evicted), "attempts_evicted_total",
     "states dropped because predict.executions was reached"},
    {METRICS_COUNTER, FIELD(idle), "attempts_idle_total",
     "states dropped after predict.idle without a sample"},
    {METRICS_GAUGE, FIELD(nodes), "nodes", "nodes whose ticks are read"},
    {METRICS_COUNTER, FIELD(quarantined), "quarantined_total", "messages that could not be read"},
    {METRICS_COUNTER, FIELD(oversized), "oversized_total", "messages Kafka refused for their size"},
    {METRICS_GAUGE, FIELD(open_batches), "open_batches", "batches not yet wholly in Kafka"},
    {METRICS_HISTOGRAM, FIELD(step_seconds), "step_seconds", "time of a batch's features, steps and risks"},
    {METRICS_HISTOGRAM, FIELD(sampled_seconds), "sampled_to_told_seconds", "from a sample to its risk"},
    {METRICS_HISTOGRAM, FIELD(consumed_seconds), "consumed_to_told_seconds",
     "from reading a tick to its risk"},
    /* codes */
    {METRICS_COUNTER, FIELD(records), "records_total", "finished executions counted"},
    {METRICS_COUNTER, FIELD(records_repeated), "records_repeated_total",
     "finished executions that were in their profile already"},
    {METRICS_COUNTER, FIELD(learned), "learned_ticks_total", "ticks of finished executions learned from"},
    {METRICS_GAUGE, FIELD(codes), "codes", "profiles kept in memory"},
    {METRICS_COUNTER, FIELD(codes_evicted), "codes_evicted_total",
     "profiles dropped because predict.codes was reached"},
    {METRICS_COUNTER, FIELD(codes_read), "codes_read_total", "profiles read from the topic"},
    {METRICS_COUNTER, FIELD(codes_refused), "codes_refused_total", "profiles that could not be used"},
    {METRICS_COUNTER, FIELD(codes_reread), "codes_reread_total",
     "dropped profiles looked for in the topic again"},
    {METRICS_COUNTER, FIELD(codes_passes), "codes_passes_total",
     "partitions of codes read through for dropped profiles"},
    {METRICS_COUNTER, FIELD(codes_deleted), "codes_deleted_total",
     "profiles deleted after predict.code_idle"},
    /* models and what is around */
    {METRICS_COUNTER, FIELD(models_refused), "models_refused_total", "models that could not be used"},
    {METRICS_COUNTER, FIELD(started_behind), "started_behind_total",
     "1 when this start went on after predict.follow_wait without having read codes and models to their "
     "ends"},
    {METRICS_COUNTER, FIELD(swaps), "champions_total", "champions that took over"},
    {METRICS_GAUGE, FIELD(fallback), "fallback", "1 while histograms decide"},
    {METRICS_GAUGE, FIELD(warming), "warming", "1 while the next champion warms up"},
    {METRICS_COUNTER, FIELD(shadow_ticks), "shadow_samples_total", "samples a challenger scored as well"},
    {METRICS_COUNTER, FIELD(shadow_distance), "shadow_distance_total",
     "sum of the challenger's distances in probability"},
    {METRICS_GAUGE, FIELD(connected), "connected", "1 while Kafka answers"},
    {METRICS_GAUGE, FIELD(assigned), "partitions", "partitions assigned"},
};

/* All of one name in a row: its help is said once. */
static void open_labelled(struct metrics *metrics, struct predict_metrics *m)
{
    static const char *const roles[] = {"champion", "challenger"};
    for (int kind = 0; kind < MSG_RISK_KIND_COUNT; kind++)
        m->risks[kind] = metrics_counter(metrics, "risks_total", "risks told", "kind",
                                         msg_risk_kind_name((enum msg_risk_kind)kind));
    for (int i = 0; i < 2; i++)
        m->score_ticks[i] = metrics_counter(metrics, "scored_labels_total", "labels scored before learning",
                                            "role", roles[i]);
    for (int i = 0; i < 2; i++)
        m->score_log_loss[i] =
            metrics_counter(metrics, "log_loss_total", "sum of log losses", "role", roles[i]);
    for (int i = 0; i < 2; i++)
        m->score_squared_error[i] =
            metrics_counter(metrics, "squared_error_total", "sum of squared errors", "role", roles[i]);
}

void predict_metrics_open(struct predict *predict)
{
    struct metrics *metrics = predict->service->metrics;
    metrics_register(metrics, rows, FS_COUNT(rows), seconds, FS_COUNT(seconds), &predict->metrics);
    open_labelled(metrics, &predict->metrics);
}

static void show_scores(struct predict *predict, struct predict_metrics *m)
{
    for (int i = 0; i < 2; i++) {
        const struct learn_score *score = learner_score(predict->learner, i == 1);
        metric_follow(m->score_ticks[i], (double)score->ticks);
        metric_follow(m->score_log_loss[i], score->log_loss);
        metric_follow(m->score_squared_error[i], score->squared_error);
    }
}

void predict_metrics_show(struct predict *predict)
{
    struct predict_metrics *m = &predict->metrics;
    const struct engine_counters *counters = engine_counters(predict->engine);
    metric_follow(m->samples, (double)counters->samples);
    metric_follow(m->muted, (double)counters->muted);
    metric_follow(m->waves, (double)counters->waves);
    metric_follow(m->attempts, (double)counters->attempts);
    metric_follow(m->idle, (double)counters->idle);
    metric_follow(m->evicted, (double)engine_evicted(predict->engine));
    metric_follow(m->swaps, (double)engine_swaps(predict->engine));
    metric_follow(m->shadow_ticks, (double)counters->shadow_ticks);
    metric_follow(m->shadow_distance, counters->shadow_distance);
    for (int kind = 0; kind < MSG_RISK_KIND_COUNT; kind++)
        metric_follow(m->risks[kind], (double)counters->risks[kind]);
    metric_follow(m->codes_evicted, (double)codes_evicted(predict->codes));
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
