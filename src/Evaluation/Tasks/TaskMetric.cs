namespace Trainer.Evaluation.Tasks;

/// <summary>A figure of a task, under lm-evaluation-harness's name.</summary>
public sealed record TaskMetric
{
    private static readonly string[] Choosing = ["acc", "acc_norm", "acc_bytes", "exact_match", "f1", "mcc", "brier_score"];
    private static readonly string[] Continuing = ["acc", "perplexity"];
    private static readonly string[] Writing = ["exact_match", "em", "f1", "string_match"];

    /// <summary>Its name.</summary>
    public required string Metric { get; init; }

    /// <summary>The harness's name for how the questions' figures become one; only what belongs to the metric is allowed.</summary>
    public string? Aggregation { get; init; }

    /// <summary>Whether more is better; only what belongs to the metric is allowed.</summary>
    public bool? HigherIsBetter { get; init; }

    /// <summary>Of <c>exact_match</c>: letters' case makes no difference.</summary>
    public bool IgnoreCase { get; init; }

    /// <summary>Of <c>exact_match</c>: ASCII's punctuation makes no difference.</summary>
    public bool IgnorePunctuation { get; init; }

    /// <summary>Of <c>exact_match</c>: digits make no difference.</summary>
    public bool IgnoreNumbers { get; init; }

    internal static IReadOnlyList<string> Usual(TaskKind kind) => kind switch
    {
        TaskKind.MultipleChoice => ["acc", "acc_norm"],
        TaskKind.Loglikelihood => ["perplexity", "acc"],
        _ => ["exact_match", "em", "f1"],
    };

    internal string? ValidationError(TaskKind kind)
    {
        string[] known = kind switch { TaskKind.MultipleChoice => Choosing, TaskKind.Loglikelihood => Continuing, _ => Writing };
        string aggregation = Metric switch
        {
            "perplexity" or "brier_score" => Metric,
            "mcc" => "matthews_corrcoef",
            "f1" when kind == TaskKind.MultipleChoice => "f1",
            _ => "mean",
        };
        bool higher = Metric is not ("perplexity" or "brier_score");
        return !known.Contains(Metric)
            ? $"metric_list has \"{Metric}\"; known for this output_type are {string.Join(", ", known)}"
            : Aggregation is not null && Aggregation != aggregation
            ? $"metric_list: the aggregation of {Metric} is {aggregation}, not \"{Aggregation}\"; leave it out"
            : HigherIsBetter is { } said && said != higher
            ? $"metric_list: higher_is_better of {Metric} is {(higher ? "true" : "false")}; leave it out"
            : (IgnoreCase || IgnorePunctuation || IgnoreNumbers) && (Metric != "exact_match" || kind != TaskKind.GenerateUntil)
            ? $"metric_list: ignore_case, ignore_punctuation and ignore_numbers are for exact_match of written answers, not for {Metric}"
            : null;
    }
}
