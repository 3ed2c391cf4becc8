using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>Makes a checkpoint with an adapter out of PEFT's files and a base that is a checkpoint here.</summary>
public static class PeftImport
{
    private const string A = ".lora_A.weight", B = ".lora_B.weight", Magnitude = ".lora_magnitude_vector";

    /// <summary>Whether a directory holds what PEFT writes.</summary>
    public static bool IsAdapter(string directory) => File.Exists(Path.Combine(directory, PeftModules.Configuration));

    /// <summary>Imports to a new or empty directory, and returns the number of matrices that are adapted.</summary>
    /// <exception cref="UserException">The files cannot be read or expressed here, do not fit the base, or writing fails.</exception>
    public static int Run(string source, string basePath, string output)
    {
        Checkpoint original = Checkpoint.Open(basePath);
        JsonObject configuration = CheckpointConfiguration.ReadJson(Path.Combine(source, PeftModules.Configuration));
        using PeftModules modules = PeftModules.Of(original.Model, original.Tokenizer.VocabularySize);
        using WeightFiles files = WeightFiles.OpenFile(Path.Combine(source, PeftModules.Weights));
        string location = Path.Combine(source, PeftModules.Configuration);
        LoraOptions options = Options(configuration, location);
        (IReadOnlyList<AdapterTarget> targets, List<PendingTensor> tensors) = Updates(files, modules, options);
        (IReadOnlyList<string> train, IReadOnlyList<PendingTensor> full) = InFull(files, modules, targets);
        options = options with { Targets = Patterns(modules, targets), Train = train.Count == 0 ? null : train };
        tensors.AddRange(full);

        JsonObject recipe = CheckpointConfiguration.ReadJson(Path.Combine(original.Directory, CheckpointFiles.Configuration));
        recipe["adapter"] = ConfigurationJson.ToNode<AdapterOptions>(options);
        recipe["initialize"] = new JsonObject { ["from"] = original.Directory };
        if (recipe["optimizer"]?["type"]?.GetValue<string>() == "muon") recipe.Remove("optimizer"); // which trains no adapters
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, tensors)),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, original.Tokenizer.Save),
            AdapterBase.Of(original).ToFile(),
            .. CheckpointFiles.Companions(original.Directory),
        ]);
        return targets.Count;
    }

    private static LoraOptions Options(JsonObject json, string location)
    {
        UserException Refuse(string key, string why) => new($"{location}: {key} is {json[key]?.ToJsonString() ?? "missing"}; {why}");
        T Value<T>(string key, T fallback) => json[key] switch
        {
            null => fallback,
            JsonValue value when value.TryGetValue(out T? found) && found is not null => found,
            _ => throw Refuse(key, $"expected a {typeof(T).Name}"),
        };
        if (Value("peft_type", "") != "LORA") throw Refuse("peft_type", "LORA can be read");
        if (Value("bias", "none") != "none") throw Refuse("bias", "adapters with biases cannot be read");
        foreach (string key in (string[])["rank_pattern", "alpha_pattern"])
            if (json[key] is JsonObject { Count: > 0 }) throw Refuse(key, "all matrices must have one rank and one alpha");
        if (Value("lora_bias", false)) throw Refuse("lora_bias", "adapters with biases cannot be read");
        LoraOptions options = new()
        {
            Rank = Value("r", 0),
            Alpha = Value("lora_alpha", 0.0),
            Dropout = Value("lora_dropout", 0.0),
            RankStabilized = Value("use_rslora", false),
            WeightDecomposed = Value("use_dora", false),
        };
        if (options.Rank < 1) throw Refuse("r", "it must be 1 or more");
        return options.Alpha > 0 ? options : throw Refuse("lora_alpha", "it must be more than 0");
    }

    private static (IReadOnlyList<AdapterTarget> Targets, List<PendingTensor> Tensors) Updates(
        WeightFiles files, PeftModules modules, LoraOptions options)
    {
        List<AdapterTarget> targets = [];
        List<PendingTensor> tensors = [];
        foreach (string name in files.Names.Where(name => name.EndsWith(A, StringComparison.Ordinal)))
        {
            string stem = name[..^A.Length], module = Plain(stem);
            AdapterTarget target = modules.Find(module) ?? throw new UserException(
                $"{files.Location}: {name} has no place in the base: {module} is no matrix of its own there, or not in this family " +
                $"({modules.Family.ModelType}); merge the adapter where it was trained, and import the whole model");
            targets.Add(target);
            Add("loraA", name, options.Rank, target.Linear.Inputs);
            Add("loraB", stem + B, target.Rows, options.Rank);
            if (options.WeightDecomposed)
                Add("magnitude", files.Names.Contains(stem + Magnitude) ? stem + Magnitude : $"{stem}{Magnitude}.weight", target.Rows);

            void Add(string part, string external, params long[] shape)
            {
                if (!files.Names.Contains(external))
                    throw new UserException($"{files.Location}: {external} is missing beside {name}; save the adapter again");
                if (!files.Info(external).Shape.SequenceEqual(shape))
                    throw new UserException($"{files.Location}: {external} is [{string.Join(", ", files.Info(external).Shape)}], and r " +
                        $"({options.Rank}) and the base make it [{string.Join(", ", shape)}]; give the base that it was trained on");
                tensors.Add(Pending($"{target.Update}.{part}", files.Info(external).Shape, () => files.Read(external)));
            }
        }
        return targets.Count > 0
            ? (targets, tensors)
            : throw new UserException($"{files.Location}: it holds no adapter (…{A}); give what save_pretrained of a LoRA model wrote");
    }

    // What PEFT lists in modules_to_save.
    private static (IReadOnlyList<string> Train, IReadOnlyList<PendingTensor> Tensors) InFull(
        WeightFiles files, PeftModules modules, IReadOnlyList<AdapterTarget> targets)
    {
        Dictionary<string, string> left = files.Names.Where(name => !name.Contains(".lora_", StringComparison.Ordinal)).ToDictionary(Plain);
        List<PendingTensor> tensors = [];
        while (left.Count > 0)
        {
            string first = left.Keys.First();
            WeightRule rule = modules.Map.RuleOfExternal(first) is { } found && found.External.All(shape => left.ContainsKey(shape.Name))
                ? found
                : throw new UserException($"{files.Location}: {left[first]} has no place in the base without others that are missing");
            string[] stored = [.. rule.External.Select(shape => left[shape.Name])];
            foreach ((int index, NamedShape native) in rule.Native.Index())
                tensors.Add(Pending(native.Name, native.Shape, () => rule.ToNative(
                    [.. stored.Select(name => files.Read(name).to_type(ScalarType.Float32))], index)));
            foreach (NamedShape shape in rule.External) left.Remove(shape.Name);
        }
        string[] train = [.. tensors.Select(tensor => tensor.Name[..tensor.Name.LastIndexOf('.')]).Distinct()];
        return targets.FirstOrDefault(target => train.Contains(target.Layer)) is { } both
            ? throw new UserException($"{files.Location}: {both.Layer} has an adapter and weights of its own (modules_to_save)")
            : (train, tensors);
    }

    private static string[] Patterns(PeftModules modules, IReadOnlyList<AdapterTarget> chosen)
    {
        string[] parts = [.. chosen.Select(target => target.Part).Distinct()];
        bool all = modules.Targets.Count(target => parts.Contains(target.Part)) == chosen.Count;
        return all ? parts : [.. chosen.Select(target => target.Name)];
    }

    private static PendingTensor Pending(string name, IReadOnlyList<long> shape, Func<Tensor> read) => new(
        name, ScalarType.Float32, [.. shape], () =>
        {
            using DisposeScope scope = NewDisposeScope();
            return read().to_type(ScalarType.Float32).contiguous().MoveToOuterDisposeScope();
        });

    private static string Plain(string name) =>
        name.StartsWith(PeftModules.Prefix, StringComparison.Ordinal) ? name[PeftModules.Prefix.Length..] : name;
}
