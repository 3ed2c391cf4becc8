using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>Writes an adapter as Hugging Face's PEFT does: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
internal static class PeftExport
{
    /// <summary>Writes a directory, complete or absent, and returns the family of the base.</summary>
    /// <exception cref="UserException">The checkpoint has no adapter, no family has its model, or a matrix has no place there.</exception>
    public static string Write(Checkpoint checkpoint, string directory, ScalarType type)
    {
        if (checkpoint.Configuration.Adapter is not LoraOptions options)
            throw new UserException(
                $"{checkpoint.Directory}: it holds a whole model and no adapter; export it with --format huggingface or gguf");
        using PeftModules modules = PeftModules.Of(checkpoint.Model, checkpoint.Tokenizer.VocabularySize);
        using IOpenWeights merged = checkpoint.OpenWeights(); // checks the adapter and its base
        using WeightFiles own = WeightFiles.OpenFile(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        PeftUpdate[] updates = [.. Updates(modules, options, own, merged)];
        // PEFT trains a copy of such a module, and the head goes on with the original.
        if (checkpoint.Model.TieEmbeddings && own.Names.Contains("embedding.weight"))
            throw new UserException(
                $"{checkpoint.Directory}: it trains the embeddings, which are the head, too, and with PEFT's files the head would be the " +
                "base's; merge the adapter (convert … --merge-adapter), and export the whole model");
        PendingTensor[] full = [.. InFull(modules, merged, own, type)];
        PendingTensor[] tensors =
        [
            .. updates.SelectMany(update => update.Tensors(type)),
            .. full.Select(tensor => tensor with { Name = PeftModules.Prefix + tensor.Name }),
        ];
        JsonObject configuration = Configuration(modules, options, checkpoint, updates, ModulesOf(full));
        HuggingFaceExport.WriteDirectory(directory, into =>
        {
            Safetensors.Write(Path.Combine(into, PeftModules.Weights), tensors, new Dictionary<string, string> { ["format"] = "pt" });
            PythonJson.Save(into, PeftModules.Configuration, configuration);
        });
        return modules.Family.ModelType;
    }

    private static IEnumerable<PeftUpdate> Updates(PeftModules modules, LoraOptions options, WeightFiles own, IWeightSource merged) =>
        from target in modules.Targets
        where own.Names.Contains(AdapterTensors.NameOf(target, AdapterTensors.A))
        group target by modules.Of(target).Name into module
        let there = modules.Of(module.First())
        select new PeftUpdate(there, [.. there.Parts.Where(part => module.Contains(part.Target))], options, own, merged);

    private static IEnumerable<PendingTensor> InFull(PeftModules modules, IWeightSource merged, WeightFiles own, ScalarType type)
    {
        HashSet<string> wanted = [.. own.Names.Where(merged.Names.Contains)
            .SelectMany(name => modules.Map.RuleOf(name)?.External.Select(external => external.Name) ?? [])];
        return modules.Map.Export(merged, type).Where(tensor => wanted.Contains(tensor.Name));
    }

    private static string[] ModulesOf(IEnumerable<PendingTensor> tensors) =>
        [.. tensors.Select(tensor => tensor.Name[..tensor.Name.LastIndexOf('.')]).Distinct()];

    private static JsonObject Configuration(
        PeftModules modules, LoraOptions options, Checkpoint checkpoint, IReadOnlyList<PeftUpdate> updates, string[] full) => new()
    {
        ["peft_type"] = "LORA",
        ["task_type"] = checkpoint.Model switch { DecoderOptions => "CAUSAL_LM", EncoderDecoderOptions => "SEQ_2_SEQ_LM", _ => null },
        ["base_model_name_or_path"] = checkpoint.Base!.Base,
        ["r"] = options.Rank,
        ["lora_alpha"] = Alpha(options.Alpha),
        ["lora_dropout"] = PythonJson.Number(options.Dropout),
        ["use_rslora"] = options.RankStabilized,
        ["use_dora"] = options.WeightDecomposed,
        ["target_modules"] = List(modules.Patterns([.. updates.Select(update => update.Module)])),
        ["rank_pattern"] = Pattern(modules, updates, options, update => update.Rank),
        ["alpha_pattern"] = Pattern(modules, updates, options, update => Alpha(update.Alpha)),
        ["modules_to_save"] = full.Length == 0 ? null : List(full),
        ["fan_in_fan_out"] = modules.Transposed,
        ["bias"] = "none",
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
    };

    // Of matrices whose rank is not that of the others.
    private static JsonObject Pattern(
        PeftModules modules, IReadOnlyList<PeftUpdate> updates, LoraOptions options, Func<PeftUpdate, JsonNode?> value) => new(
        from update in updates
        where update.Rank != options.Rank
        group update by update.Rank into others
        from name in modules.Patterns([.. others.Select(update => update.Module)])
        select KeyValuePair.Create(name, value(others.First())));

    private static JsonNode? Alpha(double alpha) => Math.Floor(alpha) == alpha ? (long)alpha : PythonJson.Number(alpha);

    private static JsonArray List(IEnumerable<string> names) => new([.. names.Select(name => (JsonNode)name)]);
}
