using System.CommandLine;
using System.Text.Json;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Cli;

internal static class PlanCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    internal static Command Create()
    {
        var recipe = new RecipeArguments();
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("plan", "Prints parameters, FLOPs, memory and cache of a recipe, without training.") { json };
        recipe.AddTo(command);
        command.SetAction(parsed => Plan(recipe.Load(parsed).Value, parsed.GetValue(json)));
        return command;
    }

    private static int Plan(Recipe recipe, bool json)
    {
        var plan = RunPlan.Of(recipe, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
        if (json) Console.WriteLine(JsonSerializer.Serialize(plan, Json));
        else Print(recipe, plan);
        return ExitCode.Done;
    }

    private static void Print(Recipe recipe, RunPlan plan)
    {
        Console.WriteLine($"{recipe.Name}: {HumanFormat.Parameters(plan.Parameters)} parameters");
        foreach (var component in plan.Components.Where(component => component.Parameters > 0))
            Row($"  {component.Name}", HumanFormat.Number(component.Parameters));
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
        PrintMeasured(plan);
        Console.WriteLine("run");
        Row("  tokens", $"{HumanFormat.Compact(plan.Tokens)} in {HumanFormat.Number(plan.Steps)} steps, {plan.Epochs:0.00} epochs of " +
            $"{HumanFormat.Compact(plan.TrainingTokens)}");
        Row("  tokens per parameter", $"{plan.TokensPerParameter:0.0}");
        Row("  FLOPs", HumanFormat.Compact(plan.TotalFlops));
        Print(plan.Advice);
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
