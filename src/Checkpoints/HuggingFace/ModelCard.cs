using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Models;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>The <c>README.md</c> of a Hugging Face checkpoint: what the model is, and, as far as it is known, how it came to be.</summary>
/// <remarks>https://huggingface.co/docs/hub/model-cards. A license is not guessed, and paths of this machine are not told.</remarks>
internal static class ModelCard
{
    public const string FileName = "README.md";

    /// <summary>The text of a card.</summary>
    public static string Of(ExportSource source, Family family)
    {
        StringBuilder text = new();
        (string task, string loader) = source.Model switch
        {
            EncoderOptions => ("fill-mask", "AutoModelForMaskedLM"),
            EncoderDecoderOptions => ("text2text-generation", "AutoModelForSeq2SeqLM"),
            _ => ("text-generation", "AutoModelForCausalLM"),
        };
        Lines(text, "---", "library_name: transformers", $"pipeline_tag: {task}", "tags:", $"- {family.ModelType}", "---", "",
            $"# {source.Name}", "", "## Model", "");
        Table(text, Model(source, family));
        Lines(text, "", "## Training", "");
        if (source.Origin is { } origin) Training(text, origin);
        else Lines(text, "The checkpoint was imported or converted where this was written: how it was trained is not known there.");
        Lines(text, "", "## Use", "", "```python", $"from transformers import AutoTokenizer, {loader}", "",
            "folder = \".\"  # where this file is", "tokenizer = AutoTokenizer.from_pretrained(folder)",
            $"model = {loader}.from_pretrained(folder)", "```");
        return text.ToString();
    }

    private static IEnumerable<(string, string?)> Model(ExportSource source, Family family)
    {
        long parameters = source.Weights.Names.Sum(name =>
            source.Weights.Info(name).Shape.Aggregate(1L, (product, extent) => product * extent));
        yield return ("family", $"{family.ModelType} ({family.Architecture})");
        yield return ("parameters", Number(parameters));
        yield return ("context", $"{Number(source.Model.ContextLength)} tokens");
        yield return ("vocabulary", $"{Number(source.VocabularySize)} tokens");
        yield return ("width", Number(source.Model.Dim));
    }

    private static void Training(StringBuilder text, TrainingOrigin origin)
    {
        JsonObject recipe = origin.Recipe;
        Table(text,
        [
            ("data", Sources(recipe["data"]?["train"])),
            ("validation data", Sources(recipe["data"]?["validation"])
                ?? (recipe["data"]?["validationFraction"] is { } share ? $"the last {Percent(share)} of the data" : null)),
            ("objective", Value(recipe["data"]?["objective"])),
            ("begun with", recipe["initialize"]?["from"] is { } from ? $"the weights of {Named(from.GetValue<string>())}" : null),
            ("steps", $"{Number(origin.State.Step)}{Of(recipe["training"]?["steps"])}, {Number(origin.State.Tokens)} tokens"),
            ("batch", recipe["training"]?["batchSize"] is { } batch ? $"{batch} rows" : null),
            ("optimizer", Section(recipe["optimizer"])),
            ("schedule", Section(recipe["schedule"])),
            ("precision", Value(recipe["training"]?["precision"])),
            ("seed", Value(recipe["seed"])),
        ]);
        if (origin.State.BestLoss is not { } loss) return;
        Lines(text, "", "## Figures", "");
        string which = origin.State.BestStep == origin.State.Step ? "" : $", of step {origin.State.BestStep}; these weights are of step " +
            origin.State.Step.ToString(CultureInfo.InvariantCulture);
        Lines(text, string.Create(CultureInfo.InvariantCulture,
            $"Lowest validation loss {loss:0.0000} nats per predicted token, perplexity {Math.Exp(loss):0.##}{which}."));
    }

    private static string Of(JsonNode? steps) =>
        steps is JsonValue value && value.TryGetValue(out long planned) ? $" of {Number(planned)} planned" : "";

    private static string? Sources(JsonNode? list) => list is not JsonArray { Count: > 0 } sources ? null
        : string.Join("; ", sources.OfType<JsonObject>().Select(source => source["path"] is { } path
            ? $"{Named(path.GetValue<string>())}{(source["weight"] is { } weight ? $" (weight {weight})" : "")}"
            : string.Join(", ", source.Where(entry => entry.Value is JsonValue).Select(entry => entry.Value!.ToString()))));

    // A whole path would tell of the machine.
    private static string Named(string path) => Path.IsPathRooted(path) ? Path.GetFileName(Path.TrimEndingDirectorySeparator(path)) : path;

    /// <summary>The type of a section and its numbers: <c>adamw, learningRate 0.001, betas 0.9 0.95</c>.</summary>
    private static string? Section(JsonNode? node) => node is not JsonObject section ? null
        : string.Join(", ", section.Select(entry => entry.Key == "type" ? entry.Value!.ToString() : entry.Value switch
        {
            JsonArray list => $"{entry.Key} {string.Join(' ', list)}",
            JsonValue value => $"{entry.Key} {value}",
            _ => entry.Key,
        }));

    private static string? Value(JsonNode? node) => node is JsonValue value ? value.ToString() : null;

    private static string Percent(JsonNode share) =>
        string.Create(CultureInfo.InvariantCulture, $"{share.GetValue<double>() * 100:0.##} %");

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static void Table(StringBuilder text, IEnumerable<(string Name, string? Value)> rows)
    {
        Lines(text, "| | |", "| --- | --- |");
        foreach ((string name, string? value) in rows)
            if (value is not null) Lines(text, $"| {name} | {value.Replace("|", @"\|")} |");
    }

    private static void Lines(StringBuilder text, params ReadOnlySpan<string> lines)
    {
        foreach (string line in lines) text.Append(line).Append('\n');
    }
}

/// <summary>How a checkpoint was trained here: its whole recipe, and the state of its training.</summary>
internal sealed record TrainingOrigin(JsonObject Recipe, CheckpointState State);
