using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>PEFT's files, as an adapter of a checkpoint here: options, and tensors under the names of its modules.</summary>
internal sealed class PeftAdapter : IDisposable
{
    private const string A = ".lora_A.weight", B = ".lora_B.weight", Magnitude = ".lora_magnitude_vector";

    private readonly PeftModules modules;
    private readonly WeightFiles files;
    private readonly PeftRanks ranks;
    private readonly List<AdapterTarget> targets = [];
    private readonly List<PendingTensor> tensors = [];

    private PeftAdapter(PeftModules modules, WeightFiles files, LoraOptions options, PeftRanks ranks)
    {
        (this.modules, this.files, this.ranks) = (modules, files, ranks);
        foreach (string name in files.Names.Where(name => name.EndsWith(A, StringComparison.Ordinal)))
            AddUpdate(name[..^A.Length], options);
        if (files.Names.FirstOrDefault(name => name.Contains(".lora_", StringComparison.Ordinal) && !IsPart(files, name)) is { } unknown)
            throw new UserException($"{files.Location}: {unknown} is no part of a whole adapter of a linear layer (…{A} and …{B}); " +
                "others, such as those of embeddings, cannot be read: merge it in PEFT (merge_and_unload), and import the whole model");
        if (targets.Count == 0)
            throw new UserException($"{files.Location}: it holds no adapter (…{A}); give what save_pretrained of a LoRA model wrote");
        IReadOnlyList<PendingTensor> full = InFull();
        string[] train = [.. full.Select(tensor => tensor.Name[..tensor.Name.LastIndexOf('.')]).Distinct()];
        if (targets.Find(target => train.Contains(target.Layer)) is { } both)
            throw new UserException($"{files.Location}: {both.Layer} has an adapter and weights of its own (modules_to_save)");
        tensors.AddRange(full);
        Options = options with { Targets = Patterns(), Train = train.Length == 0 ? null : train };
    }

    /// <summary>The adapter's options here.</summary>
    public LoraOptions Options { get; }

    /// <summary>Its tensors, read while this is open.</summary>
    public IReadOnlyList<PendingTensor> Tensors => tensors;

    /// <summary>How many matrices here are adapted.</summary>
    public int Matrices => targets.Count;

    /// <summary>Where the tensors are, for messages.</summary>
    public string Location => files.Location;

    /// <summary>Opens a directory, for the model of a checkpoint.</summary>
    /// <exception cref="UserException">The files cannot be read or expressed here, or do not fit the base.</exception>
    public static PeftAdapter Open(string directory, Checkpoint original)
    {
        string location = Path.Combine(directory, PeftModules.Configuration);
        JsonObject json = CheckpointConfiguration.ReadJson(location);
        LoraOptions options = ReadOptions(json, location);
        PeftRanks ranks = new(json, location);
        PeftModules modules = PeftModules.Of(original.Model, original.Tokenizer.VocabularySize);
        WeightFiles? files = null;
        try
        {
            files = WeightFiles.OpenFile(Path.Combine(directory, PeftModules.Weights));
            PeftAdapter adapter = new(modules, files, options, ranks);
            if (original.Model.TieEmbeddings && adapter.Options.Train?.Contains("embedding") == true)
                throw new UserException($"{files.Location}: it has embeddings of its own (modules_to_save), which in PEFT the head does " +
                    "not share, and in this base it does: merge it in PEFT (merge_and_unload), and import the whole model");
            return adapter;
        }
        catch
        {
            files?.Dispose();
            modules.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        files.Dispose();
        modules.Dispose();
    }

    private static LoraOptions ReadOptions(JsonObject json, string location)
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
        if (Value("lora_bias", false)) throw Refuse("lora_bias", "adapters with biases cannot be read");
        // The others take what they begin with out of the base's weights, which these files do not have.
        if (json["init_lora_weights"] is JsonValue start && start.TryGetValue(out string? way)
            && way is not ("gaussian" or "eva" or "orthogonal"))
            throw Refuse("init_lora_weights", "it changes the base's weights, too: save the adapter with " +
                "path_initial_model_for_weight_conversion, or merge it in PEFT (merge_and_unload), and import the whole model");
        if (json["alora_invocation_tokens"] is JsonArray { Count: > 0 })
            throw Refuse("alora_invocation_tokens", "adapters that begin within a text cannot be read");
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

    // A matrix that is fused there is one update with one A, and here an update for each of its parts.
    private void AddUpdate(string stem, LoraOptions options)
    {
        string module = Plain(stem);
        PeftModule found = modules.Find(module) ?? throw new UserException(
            $"{files.Location}: {stem}{A} has no place in the base: {module} is no matrix of its own there, or not in this family " +
            $"({modules.Family.ModelType}); merge the adapter where it was trained, and import the whole model");
        int rank = ranks.RankOf(module, options, found.Parts.Count > 1);
        Check(stem + A, rank, found.Inputs);
        Check(stem + B, found.Outputs, rank);
        string magnitude = files.Names.Contains(stem + Magnitude) ? stem + Magnitude : $"{stem}{Magnitude}.weight";
        if (options.WeightDecomposed) Check(magnitude, found.Outputs);
        long[] places = Places(found, stem, rank, options);
        foreach ((PeftPart part, long place) in found.Parts.Zip(places).Where(entry => entry.Second >= 0))
        {
            targets.Add(part.Target);
            Add(part.Target, AdapterTensors.A, [options.Rank, found.Inputs], () => files.Read(stem + A).narrow(0, place, options.Rank));
            Add(part.Target, AdapterTensors.B, [part.Target.Rows, options.Rank],
                () => part.RowsOf(files.Read(stem + B)).narrow(1, place, options.Rank));
            if (options.WeightDecomposed)
                Add(part.Target, AdapterTensors.Magnitude, [part.Target.Rows], () => part.RowsOf(files.Read(magnitude)));
        }

        void Check(string external, params long[] shape)
        {
            if (!files.Names.Contains(external))
                throw new UserException($"{files.Location}: {external} is missing beside {stem}{A}; save the adapter again");
            if (!files.Info(external).Shape.SequenceEqual(shape))
                throw new UserException($"{files.Location}: {external} is [{string.Join(", ", files.Info(external).Shape)}], and r " +
                    $"({rank}) and the base make it [{string.Join(", ", shape)}]; give the base that it was trained on");
        }

        void Add(AdapterTarget target, string part, long[] shape, Func<Tensor> read) =>
            tensors.Add(Pending(AdapterTensors.NameOf(target, part), shape, read));
    }

    // Where each part's columns of B begin, and its rows of A: those of other parts are zeros. −1 for a part that nothing is added to.
    private long[] Places(PeftModule found, string stem, int rank, LoraOptions options)
    {
        if (found.Parts.Count == 1) return [0];
        using DisposeScope scope = NewDisposeScope();
        Tensor all = files.Read(stem + B).ne(0);
        bool[][] used = [.. found.Parts.Select(part => part.RowsOf(all).any(0).data<bool>().ToArray())]; // by column
        bool anything = used.Any(columns => columns.Contains(true));
        return [.. used.Select((columns, index) =>
        {
            if (anything && !options.WeightDecomposed && !columns.Contains(true)) return -1;
            int[] starts = [.. Enumerable.Range(0, rank / options.Rank).Select(block => block * options.Rank)];
            int[] fitting = [.. starts.Where(start => columns.Index().All(
                column => !column.Item || (column.Index >= start && column.Index < start + options.Rank)))];
            if (fitting.Length == 0) throw ranks.Refuse(found.Name, rank);
            return fitting.Contains(index * options.Rank) ? index * options.Rank : fitting[0];
        }).Select(place => (long)place)];
    }

    private static bool IsPart(WeightFiles files, string name) => ((string[])[A, B, Magnitude, Magnitude + ".weight"]).Any(
        end => name.EndsWith(end, StringComparison.Ordinal) && files.Names.Contains(name[..^end.Length] + A));

    // What PEFT lists in modules_to_save.
    private List<PendingTensor> InFull()
    {
        Dictionary<string, string> left = files.Names.Where(name => !name.Contains(".lora_", StringComparison.Ordinal)).ToDictionary(Plain);
        List<PendingTensor> full = [];
        while (left.Count > 0)
        {
            string first = left.Keys.First();
            WeightRule rule = modules.Map.RuleOfExternal(first) is { } whole && whole.External.All(shape => left.ContainsKey(shape.Name))
                ? whole
                : throw new UserException($"{files.Location}: {left[first]} has no place in the base without others that are missing");
            foreach (NamedShape shape in rule.External)
                if (files.Info(left[shape.Name]).Shape is var found && !found.SequenceEqual(shape.Shape))
                    throw new UserException($"{files.Location}: {left[shape.Name]} is [{string.Join(", ", found)}], and the base makes " +
                        $"it [{string.Join(", ", shape.Shape)}]; give the base that it was trained on, or merge it in PEFT " +
                        "(merge_and_unload), and import the whole model");
            string[] stored = [.. rule.External.Select(shape => left[shape.Name])];
            foreach ((int index, NamedShape native) in rule.Native.Index())
                full.Add(Pending(native.Name, native.Shape, () => rule.ToNative(
                    [.. stored.Select(name => files.Read(name).to_type(ScalarType.Float32))], index)));
            foreach (NamedShape shape in rule.External) left.Remove(shape.Name);
        }
        return full;
    }

    private string[] Patterns()
    {
        string[] parts = [.. targets.Select(target => target.Part).Distinct()];
        bool all = modules.Targets.Count(target => parts.Contains(target.Part)) == targets.Count;
        return all ? parts : [.. targets.Select(target => target.Name)];
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
