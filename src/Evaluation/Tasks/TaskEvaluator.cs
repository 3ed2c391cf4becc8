using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;

namespace Trainer.Evaluation.Tasks;

/// <summary>How a task is run.</summary>
public sealed record TaskOptions
{
    /// <summary>Examples before each question; null for the task's own number.</summary>
    public int? Shots { get; init; }

    /// <summary>The most questions, from the first on; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>What examples are drawn by.</summary>
    public long Seed { get; init; } = 1234;
}

/// <summary>Asks a decoder the questions of a task.</summary>
public sealed class TaskEvaluator(LanguageModel model, Tokenizer tokenizer)
{
    /// <summary>Evaluates a task.</summary>
    /// <exception cref="UserException">The model is no decoder, or the task's data do not fit the task or the model.</exception>
    public TaskReport Evaluate(TaskDefinition task, TaskOptions options)
    {
        if (model.Options is not DecoderOptions)
            throw new UserException("tasks are for decoders, which continue a text; this model does not");
        IReadOnlyList<TaskRecord> records = TaskRecord.ReadAll(task.Data);
        IReadOnlyList<TaskRecord> examples = task.FewshotData is { } path ? TaskRecord.ReadAll(path) : records;
        TaskPrompts prompts = new(task, examples, options.Shots ?? task.NumFewshot, options.Seed);
        TaskRecord[] questions = [.. records.Take(options.Limit ?? int.MaxValue)];
        bool training = model.training;
        model.eval();
        try
        {
            return new(task.Task, prompts.Shots, questions.Length, task.OutputType switch
            {
                TaskKind.MultipleChoice => Choose(task, prompts, questions),
                TaskKind.Loglikelihood => Continue(task, prompts, questions),
                _ => Write(task, prompts, questions),
            });
        }
        finally
        {
            model.train(training);
        }
    }

    private TaskFigure[] Choose(TaskDefinition task, TaskPrompts prompts, TaskRecord[] questions)
    {
        (TaskRecord Record, string Prompt, IReadOnlyList<string> Choices)[] asked =
            [.. questions.Select(record => (record, prompts.Of(record), TaskPrompts.Choices(task, record)))];
        (int Question, int Choice)[] places =
            [.. asked.SelectMany((question, number) => question.Choices.Select((_, choice) => (number, choice)))];
        Continuation[] scored = new ContinuationScorer(model, tokenizer).Score(
            [.. places.Select(place => (asked[place.Question].Prompt, task.TargetDelimiter + asked[place.Question].Choices[place.Choice]))],
            index => asked[places[index].Question].Record.Wrong);
        double[] sums = new double[questions.Length], lengths = new double[questions.Length];
        foreach (IGrouping<int, (Continuation Score, (int Question, int Choice) Place)> question in
            scored.Zip(places).GroupBy(each => each.Second.Question))
        {
            (TaskRecord record, _, IReadOnlyList<string> choices) = asked[question.Key];
            int target = TaskPrompts.Target(task, record, choices);
            sums[question.Key] = target == question.MaxBy(each => each.Score.LogLikelihood).Place.Choice ? 1 : 0;
            lengths[question.Key] = target == question.MaxBy(each => each.Score.LogLikelihood / choices[each.Place.Choice].Length)
                .Place.Choice ? 1 : 0;
        }
        return [TaskFigure.Mean("accuracy", sums), TaskFigure.Mean("accuracyByLength", lengths)];
    }

    private TaskFigure[] Continue(TaskDefinition task, TaskPrompts prompts, TaskRecord[] questions)
    {
        Continuation[] scored = new ContinuationScorer(model, tokenizer).Score(
            [.. questions.Select(record => (prompts.Of(record), task.TargetDelimiter + record.Render(task.DocToTarget)))],
            index => questions[index].Wrong);
        return
        [
            TaskFigure.Mean("accuracy", [.. scored.Select(each => each.IsGreedy ? 1.0 : 0)]),
            TaskFigure.Perplexity([.. scored.Select(each => each.LogLikelihood)]),
        ];
    }

    private TaskFigure[] Write(TaskDefinition task, TaskPrompts prompts, TaskRecord[] questions)
    {
        TextGenerator generator = new(model, tokenizer, model.Device);
        GenerationOptions greedy = new() { Tokens = task.GenerationKwargs.MaxGenToks, Sampling = new() { Greedy = true } };
        (string Answer, string Target)[] answers =
            [.. questions.Select(record => (Answer(generator, prompts.Of(record), greedy, task.GenerationKwargs.Until),
                record.Render(task.DocToTarget)))];
        return
        [
            TaskFigure.Mean("exactMatch", [.. answers.Select(each =>
                AnswerText.Normalized(each.Answer) == AnswerText.Normalized(each.Target) ? 1.0 : 0)]),
            TaskFigure.Mean("f1", [.. answers.Select(each => AnswerText.F1(each.Answer, each.Target))]),
        ];
    }

    // No more is written than up to the stop.
    private static string Answer(TextGenerator generator, string prompt, GenerationOptions options, IReadOnlyList<string> until)
    {
        string written = "";
        foreach (string piece in generator.Stream(prompt, options))
        {
            written += piece;
            int stop = until.Select(text => written.IndexOf(text, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
            if (stop >= 0) return written[..stop];
        }
        return written;
    }
}
