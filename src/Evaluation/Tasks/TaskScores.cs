using System.Text;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>The log-likelihoods in nats of a question's choices, which of them greedy decoding writes, which are right, and which are true
/// (1) where a task says so.</summary>
internal sealed record ScoredChoices(
    IReadOnlyList<string> Choices, IReadOnlyList<double> LogLikelihoods, IReadOnlyList<bool> IsGreedy, IReadOnlyList<int> Targets,
    IReadOnlyList<int>? Labels = null)
{
    public bool IsRight(int choice) => Targets.Contains(choice);

    // numpy.argmax: the first of equal ones.
    public int Best(Func<string, double>? length = null)
    {
        double[] scores = [.. LogLikelihoods.Zip(Choices, (score, choice) => length is null ? score : score / length(choice))];
        return Array.IndexOf(scores, scores.Max());
    }

    public double[] Probabilities()
    {
        double most = LogLikelihoods.Max();
        double[] powers = [.. LogLikelihoods.Select(score => Math.Exp(score - most))];
        double sum = powers.Sum();
        return [.. powers.Select(power => power / sum)];
    }
}

/// <summary>lm-evaluation-harness's arithmetic: lm_eval/api/task.py (process_results) and lm_eval/api/metrics.py.</summary>
internal static class TaskScores
{
    private const int Resamples = 1000;

    public static IReadOnlyList<TaskFigure> OfChoices(IReadOnlyList<TaskMetric> metrics, IReadOnlyList<ScoredChoices> questions) =>
        [.. metrics.Select(metric => OfChoices(metric.Metric, questions))];

    public static IReadOnlyList<TaskFigure> OfContinuations(
        IReadOnlyList<TaskMetric> metrics, IReadOnlyCollection<(double LogLikelihood, bool IsGreedy)> answers) =>
        [.. metrics.Select(metric => metric.Metric == "perplexity"
            ? TaskFigure.Perplexity([.. answers.Select(answer => answer.LogLikelihood)])
            : TaskFigure.Mean(metric.Metric, [.. answers.Select(answer => answer.IsGreedy ? 1.0 : 0)]))];

    /// <summary>Of written answers; of several targets the best counts, but for <c>string_match</c>, which is the share of them that the
    /// answer has (RULER).</summary>
    public static IReadOnlyList<TaskFigure> OfTexts(
        IReadOnlyList<TaskMetric> metrics, IReadOnlyCollection<(string Answer, IReadOnlyList<string> Targets)> answers) =>
        [.. metrics.Select(metric => TaskFigure.Mean(metric.Metric, [.. answers.Select(each => metric.Metric switch
        {
            "em" => each.Targets.Max(target => AnswerText.Normalized(each.Answer) == AnswerText.Normalized(target) ? 1.0 : 0),
            "f1" => each.Targets.Max(target => AnswerText.F1(each.Answer, target)),
            "string_match" => each.Targets.Average(target => each.Answer.Contains(target, StringComparison.OrdinalIgnoreCase) ? 1.0 : 0),
            _ => each.Targets.Max(target => AnswerText.Compared(each.Answer, metric) == AnswerText.Compared(target, metric) ? 1.0 : 0),
        })]))];

    /// <summary>A group's figures: means weighted by the numbers of questions, and pooled errors.</summary>
    public static IReadOnlyList<TaskFigure> OfGroup(IReadOnlyList<TaskReport> tasks, IReadOnlyList<string> metrics) =>
        [.. metrics.Where(metric => tasks.All(task => task.Find(metric) is not null)).Select(metric => OfGroup(metric, tasks))];

    private static TaskFigure OfGroup(string metric, IReadOnlyList<TaskReport> tasks)
    {
        double all = tasks.Sum(task => task.Questions);
        double variance = tasks.Sum(task => (task.Questions - 1.0) * task.Questions * Square(task.Find(metric)!.StandardError));
        return new(metric, tasks.Sum(task => task.Find(metric)!.Value * task.Questions) / all,
            all == tasks.Count ? 0 : Math.Sqrt(variance / (all - tasks.Count) / all));
    }

    private static TaskFigure OfChoices(string metric, IReadOnlyList<ScoredChoices> questions)
    {
        (int Gold, int Said)[] classes = [.. questions.Select(question => (question.Targets[0], question.Best()))];
        return metric switch
        {
            "f1" => Resampled(metric, classes, BinaryF1),
            "mcc" => Resampled(metric, classes, Correlation),
            _ => TaskFigure.Mean(metric, [.. questions.Select(question => metric switch
            {
                "acc" when question.Labels is { } labels => question.Probabilities().Where((_, choice) => labels[choice] == 1).Sum(),
                "acc" => question.IsRight(question.Best()) ? 1 : 0,
                "acc_norm" => question.IsRight(question.Best(CodePoints)) ? 1 : 0,
                "acc_bytes" => question.IsRight(question.Best(choice => Encoding.UTF8.GetByteCount(choice))) ? 1 : 0,
                "exact_match" => question.Targets.Any(target => question.IsGreedy[target]) ? 1 : 0,
                _ => question.Probabilities().Select((share, choice) => Square(share - (choice == question.Targets[0] ? 1 : 0))).Sum(),
            })]),
        };
    }

    private static double CodePoints(string text) => text.EnumerateRunes().Count();

    // scikit-learn's f1_score: the second of two choices is what is looked for.
    private static double BinaryF1(IReadOnlyCollection<(int Gold, int Said)> classes)
    {
        double found = 2.0 * classes.Count(each => each is (1, 1)), wrong = classes.Count(each => each.Gold != each.Said);
        return found + wrong == 0 ? 0 : found / (found + wrong);
    }

    // Matthews' correlation for any number of classes (Gorodkin 2004), as scikit-learn's.
    private static double Correlation(IReadOnlyCollection<(int Gold, int Said)> classes)
    {
        double all = classes.Count, right = classes.Count(each => each.Gold == each.Said);
        Dictionary<int, int> gold = classes.CountBy(each => each.Gold).ToDictionary();
        Dictionary<int, int> said = classes.CountBy(each => each.Said).ToDictionary();
        double chance = said.Sum(pair => (double)pair.Value * gold.GetValueOrDefault(pair.Key));
        double spread = (Square(all) - said.Values.Sum(count => Square(count))) * (Square(all) - gold.Values.Sum(count => Square(count)));
        return spread == 0 ? 0 : (right * all - chance) / Math.Sqrt(spread);
    }

    // The error of what is no mean: the deviation over samples drawn with replacement (Efron 1979), the same in every run.
    private static TaskFigure Resampled<T>(string name, IReadOnlyList<T> items, Func<IReadOnlyCollection<T>, double> measure)
    {
        SplitMix64 random = new(0);
        double[] values = [.. Enumerable.Range(0, Resamples).Select(_ => measure(
            [.. Enumerable.Range(0, items.Count).Select(_ => items[(int)(random.NextDouble() * items.Count)])]))];
        double mean = values.Average();
        return new(name, measure(items), Math.Sqrt(values.Sum(value => Square(value - mean)) / (Resamples - 1)));
    }

    private static double Square(double value) => value * value;
}
