using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Numbers;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Cli;

internal static class PlanCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    internal static Command Create()
    {
        var recipe = new RecipeArguments(optional: true);
        var goal = new GoalArguments();
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var ranks = new Option<int>("--ranks")
        {
            Description = "Plan for so many processes: memory of each, and what they exchange.",
            HelpName = "N",
            DefaultValueFactory = _ => 1,
        };
        var stepTime = new Option<double?>("--step-time")
        {
            Description = "Milliseconds of a step that one process takes with its rows, as train prints them: estimates the speed of " +
                "2 to 1,024 processes.",
            HelpName = "ms",
        }.WithPoint();
        var bandwidth = new Option<double>("--bandwidth")
        {
            Description = "Gigabits a second between two machines.",
            HelpName = "Gb/s",
            DefaultValueFactory = _ => 10,
        }.WithPoint();
        var latency = new Option<double>("--latency")
        {
            Description = "Microseconds until a message arrives.",
            HelpName = "µs",
            DefaultValueFactory = _ => 30,
        }.WithPoint();
        foreach (var option in (Option[])[ranks, stepTime, bandwidth, latency]) RequirePositive(option);
        var command = new Command(
            "plan", "Prints parameters, FLOPs, memory and cache of a recipe, without training; or writes a recipe for a text and a time.")
        {
            json, ranks, stepTime, bandwidth, latency,
        };
        recipe.AddTo(command);
        goal.AddTo(command);
        command.Validators.Add(result =>
        {
            bool given = recipe.IsGiven(result), sought = goal.IsGiven(result);
            if (given && sought)
                result.AddError("A recipe is planned as it is: leave config and --set out, or --data, --time and --depth.");
            if (sought && Array.Find<Option>([ranks, stepTime, bandwidth, latency], result.Has) is { } other)
                result.AddError($"{other.Name} is for a recipe that is there: leave it out, or plan the recipe once it is written.");
            if (given && (result.Has(bandwidth) || result.Has(latency)) && !result.Has(stepTime))
                result.AddError("--bandwidth and --latency are for what --step-time estimates: add it, or leave them out.");
            if (given && result.Has(stepTime) && !(result.GetValue(ranks) > 1))
                result.AddError("--step-time estimates the speed of several processes: add --ranks 2 or more, or leave it out.");
            if (given && !recipe.IsNamed(result))
                result.AddError("--set changes a recipe, and none is named: give it before --set, which takes all that follows.");
            if (!given && !sought) result.AddError("Give a recipe to plan, or --data and --time (or --depth) to write one.");
        });
        command.SetAction(parsed => goal.IsGiven(parsed.CommandResult) ? goal.Find(parsed, parsed.GetValue(json)) : Plan(
            recipe.Load(parsed).Value, parsed.GetValue(json), parsed.GetValue(ranks), parsed.GetValue(stepTime) / 1000,
            new Link(parsed.GetValue(bandwidth) * 1e9 / 8, parsed.GetValue(latency) * 1e-6)));
        return command;
    }

    private static void RequirePositive(Option option) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var number) && !(number > 0))
            result.AddError($"{option.Name} is {token.Value}; it must be more than 0");
    });

    private static int Plan(Recipe recipe, bool json, int ranks, double? stepSeconds, Link link)
    {
        if (recipe.Model.PatchInput() is not null) return PlanPatches(recipe, json, ranks, stepSeconds);
        var plan = RunPlan.Of(recipe, TrainingRequest.DefaultDatasetsDirectory, new StandardError(), ranks, stepSeconds, link);
        if (json) Console.WriteLine(JsonSerializer.Serialize(plan, Json));
        else Print(recipe, plan);
        return ExitCode.Done;
    }

    private static int PlanPatches(Recipe recipe, bool json, int ranks, double? stepSeconds)
    {
        if (ranks > 1 || stepSeconds is not null)
            throw new UsageException(
                "--ranks and --step-time plan recipes of texts, and this one reads pictures or time series: leave them out");
        var plan = PatchPlan.Of(recipe, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
        if (json) Console.WriteLine(JsonSerializer.Serialize(plan, Json));
        else Print(recipe, plan);
        return ExitCode.Done;
    }

    private static void Print(Recipe recipe, PatchPlan plan)
    {
        var unit = plan.Preprocessor is ImagePreprocessor ? "picture" : "window";
        Console.WriteLine($"{recipe.Name}: {HumanFormat.Parameters(plan.Parameters)} parameters");
        foreach (var component in plan.Components.Where(component => component.Parameters > 0))
            Row($"  {component.Name}", HumanFormat.Number(component.Parameters));
        Console.WriteLine("data");
        Row("  prepared in", plan.Directory);
        Row("  training", HumanFormat.Counted(plan.TrainingExamples, unit));
        Row("  validation", HumanFormat.Counted(plan.ValidationExamples, unit));
        Row(plan.Preprocessor is ImagePreprocessor ? "  classes" : "  variables", string.Join(", ", plan.Preprocessor switch
        {
            ImagePreprocessor images => images.Classes,
            var series => ((SeriesPreprocessor)series).Variables,
        }));
        Console.WriteLine($"per {unit}");
        Row("  positions", HumanFormat.Number(plan.Positions));
        Row("  FLOPs forward", HumanFormat.Compact(plan.ForwardFlopsPerExample));
        Console.WriteLine("memory of training");
        Row("  weights, gradients, moments", HumanFormat.Bytes(plan.StateBytes));
        Row("  activations", plan.ActivationBytes is { } bytes
            ? $"{HumanFormat.Bytes(bytes)} for micro-batches of {plan.MicroBatchSize}, measured on one"
            : "not measured: only Linux with glibc counts what tensors take");
        Console.WriteLine("run");
        Row($"  {unit}s", $"{HumanFormat.Compact(plan.Examples)} in {HumanFormat.Number(plan.Steps)} steps, {plan.Epochs:0.00} epochs");
        Row("  FLOPs", HumanFormat.Compact(plan.TotalFlops));
    }

    private static void Print(Recipe recipe, RunPlan plan)
    {
        Console.WriteLine($"{recipe.Name}: {HumanFormat.Parameters(plan.Parameters)} parameters");
        foreach (var component in plan.Components.Where(component => component.Parameters > 0))
            Row($"  {component.Name}", HumanFormat.Number(component.Parameters));
        if (plan.TrainedParameters < plan.Parameters)
            Row("  trained", $"{HumanFormat.Number(plan.TrainedParameters)}, and " +
                $"{HumanFormat.Number(plan.Parameters - plan.TrainedParameters)} stay as they are");
        if (plan.ActiveParameters < plan.Parameters) Row("  used by a token", HumanFormat.Number(plan.ActiveParameters));
        DataSection.Print(plan.Data);
        Console.WriteLine("per token");
        Row("  FLOPs forward", HumanFormat.Compact(plan.ForwardFlopsPerToken));
        Row("  FLOPs training", HumanFormat.Compact(plan.TrainingFlopsPerToken));
        Row("  key-value cache", $"{HumanFormat.Bytes(plan.CacheBytesPerToken)}, {HumanFormat.Bytes(plan.CacheBytesAtContext)} at the " +
            $"context of {HumanFormat.Number(plan.ContextLength)}");
        if (plan.RecurrentStateBytes > 0)
            Row("  recurrent state", $"{HumanFormat.Bytes(plan.RecurrentStateBytes)} for a sequence of any length");
        Console.WriteLine("memory of training");
        Row("  weights, gradients, moments", HumanFormat.Bytes(plan.StateBytes));
        if (plan.Teacher is { Cache: { } kept })
            Row("  teacher", $"none: {HumanFormat.Bytes(kept.Bytes)} on disk for {HumanFormat.Compact(kept.Targets)} targets, computed " +
                $"once by {HumanFormat.Compact(kept.Flops)} FLOPs");
        else if (plan.Teacher is { } teacher)
            Row("  teacher", $"{HumanFormat.Bytes(teacher.WeightBytes)} for {HumanFormat.Parameters(teacher.Parameters)} parameters");
        if (plan.Reinforcement is { } answers)
        {
            if (answers.ReferenceBytes > 0)
                Row("  reference", $"{HumanFormat.Bytes(answers.ReferenceBytes)} for " +
                    $"{HumanFormat.Parameters(answers.ReferenceParameters)} parameters");
            Row("  writing answers", $"at most {HumanFormat.Bytes(answers.DecoderBytes)} for weights, keys and values, before the step");
        }
        PrintMeasured(plan);
        Console.WriteLine("run");
        Row("  tokens", $"{HumanFormat.Compact(plan.Tokens)} in {HumanFormat.Number(plan.Steps)} steps, {plan.Epochs:0.00} epochs of " +
            $"{HumanFormat.Compact(plan.TrainingTokens)}");
        Row("  tokens per parameter", $"{plan.TokensPerParameter:0.0}");
        Row("  FLOPs", HumanFormat.Compact(plan.TotalFlops));
        if (plan.Processes is { } processes) Print(processes);
        Print(plan.Advice);
    }

    private static void Print(RanksPlan plan)
    {
        Console.WriteLine($"{HumanFormat.Number(plan.Ranks)} processes");
        Row("  memory", $"as above, in each{(plan.ShardOptimizer ? ", with its share of the moments" : "")}");
        Row("  sequences of a micro-batch", $"{HumanFormat.Number(plan.RowsPerRank)} in each");
        Row("  gradients", $"{HumanFormat.Bytes(plan.GradientBytes)}, of which {HumanFormat.Bytes(plan.LastBucketBytes)} travel when the " +
            "backward pass is over");
        Row("  traffic of a step", $"{HumanFormat.Bytes(plan.TrafficBytes)} sent, and as much received, by each");
        if (plan.Scaling.Count == 0) return;
        Console.WriteLine($"  {"processes",9} {"step",10} {"waiting",10} {"efficiency",11}");
        foreach (var row in plan.Scaling)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {HumanFormat.Number(row.Ranks),9} " +
                $"{row.StepSeconds * 1000,7:G4} ms {row.WaitingSeconds * 1000,7:G3} ms {row.Efficiency,10:P0}"));
        foreach (var assumption in plan.Assumptions) Console.WriteLine($"  assuming {assumption}");
    }

    private static void PrintMeasured(RunPlan plan)
    {
        if ((plan.ActivationBytes, plan.PeakBytes) is not ({ } activations, { } peak))
        {
            Row("  activations", "not measured: only Linux with glibc counts what tensors take");
            return;
        }
        Row("  activations",
            $"{HumanFormat.Bytes(activations)} for micro-batches of {plan.MicroBatchSize} × {plan.RowLength}, {Measured(plan)}");
        Row("  at its height", $"{HumanFormat.Bytes(peak - plan.CheckpointCopyBytes)} of tensors, and the program itself");
        if (plan.CheckpointCopyBytes > 0)
            Row("  writing a checkpoint", $"up to {HumanFormat.Bytes(peak)}, with the copy it is written from");
    }

    private static string Measured(RunPlan plan) =>
        "measured on a block of each kind"
        + (plan.MeasuredLength is { } length ? $" with rows of at most {length} tokens" : "")
        + (plan.ForGpu ? " on the CPU: a GPU's kernels keep other things" : "");

    private static void Print(PlanAdvice advice)
    {
        Console.WriteLine($"{"with other attention",-38} {"parameters",12} {"FLOPs/token",12} {"cache/token",12} {"to decode",12}");
        foreach (var figures in advice.Alternatives)
            Console.WriteLine($"  {figures.Name,-36} {HumanFormat.Number(figures.Parameters),12} " +
                $"{HumanFormat.Compact(figures.ForwardFlopsPerToken),12} "
                + $"{HumanFormat.Bytes(figures.CacheBytesPerToken),12} {HumanFormat.Bytes(figures.DecodingBytes),12}");
        foreach (var rule in advice.Rules) Console.WriteLine($"  {rule}");
    }

    private static void Row(string name, string value) => Console.WriteLine($"{name,-30} {value}");
}
