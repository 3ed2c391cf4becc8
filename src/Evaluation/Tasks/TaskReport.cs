namespace Trainer.Evaluation.Tasks;

/// <summary>What a model reached in a task, or in a group of them.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Shots">Examples before each question.</param>
/// <param name="Questions">How many were asked.</param>
/// <param name="Figures">What was measured.</param>
public sealed record TaskReport(string Task, int Shots, int Questions, IReadOnlyList<TaskFigure> Figures)
{
    /// <summary>Of a group, the tasks in it.</summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>Tokens of a prompt and its answer, of tasks that have lengths.</summary>
    public int? Length { get; init; }

    internal TaskFigure? Find(string name) => Figures.FirstOrDefault(figure => figure.Name == name);
}

/// <summary>A figure over questions and its standard error: of a mean s/√n with s of n − 1 degrees of freedom (0 of one question), of a
/// perplexity the mean's times the figure, of f1 and mcc of choices the deviation over samples drawn with replacement, of a group the
/// pooled error.</summary>
/// <param name="Name">Such as <c>acc</c>.</param>
/// <param name="Value">The figure.</param>
/// <param name="StandardError">Its error.</param>
public sealed record TaskFigure(string Name, double Value, double StandardError)
{
    internal static TaskFigure Mean(string name, IReadOnlyCollection<double> values)
    {
        double mean = values.Average(), squares = values.Sum(value => (value - mean) * (value - mean));
        return new(name, mean, values.Count < 2 ? 0 : Math.Sqrt(squares / (values.Count - 1) / values.Count));
    }

    /// <summary>exp of minus a mean; its error is that mean's times the figure (the first order).</summary>
    internal static TaskFigure Perplexity(IReadOnlyCollection<double> logLikelihoods)
    {
        TaskFigure mean = Mean("", logLikelihoods);
        return new("perplexity", Math.Exp(-mean.Value), Math.Exp(-mean.Value) * mean.StandardError);
    }
}
