namespace Trainer.Data.HuggingFace;

/// <summary>The parts of a <c>tokenizer.json</c>, built.</summary>
internal sealed class Pipeline
{
    private readonly PreTokenizer[] splitters;
    private readonly IReadOnlyList<Part?> decoders;

    /// <summary>Builds all parts.</summary>
    /// <exception cref="Trainer.Configuration.UserException">A part is damaged or not supported.</exception>
    public Pipeline(Part root)
    {
        Normalizer = root.OptionalSection("normalizer") is { } normalizer ? Normalizers.Create(normalizer) : null;
        splitters = root.OptionalSection("pre_tokenizer") is { } splitter ? [.. PreTokenizers.Create(splitter).Parts] : [];
        if (splitters.SkipWhile(part => part is not (MetaspaceSplit or ByteLevelSplit)).Skip(1).Any(part => part is MetaspaceSplit { MindsStart: true }))
            throw root.Section("pre_tokenizer").Unsupported("Metaspace with the prepend_scheme first after a part that rewrites the text");
        Model = Models.Create(root.Section("model"));
        PostProcessor = PostProcessors.Create(root.OptionalSection("post_processor"));
        decoders = Decoders.Flatten(root.OptionalSection("decoder"));
        Decoders.Create(decoders, new CollectStage());   // finds out now what is not supported
        Added = new AddedVocabulary(root.Has("added_tokens") ? root.Sections("added_tokens").Select(AddedToken.Of) : [], Model, Normalizer);
        MindsStart = splitters.Any(part => part is MetaspaceSplit { MindsStart: true });
        ReadsBytes = Model.ReadsBytes && splitters.LastOrDefault() is ByteLevelSplit;
        Tokens = [.. Enumerable.Range(0, Math.Max(Model.Tokens.Count, Added.Largest + 1)).Select(Token)];
    }

    public Normalizer? Normalizer { get; }

    public Model Model { get; }

    public PostProcessor PostProcessor { get; }

    public AddedVocabulary Added { get; }

    /// <summary>All tokens by id, as decoders are given them; null where an id is not given.</summary>
    public IReadOnlyList<string?> Tokens { get; }

    /// <summary>Whether it matters which piece begins where the text begins.</summary>
    public bool MindsStart { get; }

    /// <summary>Whether the model reads the bytes of pieces, so that any bytes can be encoded.</summary>
    public bool ReadsBytes { get; }

    /// <summary>Whether tokens stand for fixed bytes, whatever is around them.</summary>
    public bool WritesBytes => decoders is [{ } only] && only.Text("type") == "ByteLevel";

    /// <summary>Starts an encoder with a state of its own.</summary>
    public Worker CreateWorker()
    {
        var encoder = Model.CreateEncoder(ReadsBytes);
        PieceSink chain = encoder;
        for (var i = splitters.Length - 1; i >= 0; i--)
            chain = (ReadsBytes && i == splitters.Length - 1 ? ((ByteLevelSplit)splitters[i]).WithoutSymbols : splitters[i]).Before(chain);
        return new Worker(this, encoder, chain);
    }

    /// <summary>Starts a decoder with a state of its own.</summary>
    public DecoderStage CreateDecoder(CollectStage end) => Decoders.Create(decoders, end);

    /// <summary>The byte that a token of the form &lt;0x0A&gt; stands for in this tokenizer.</summary>
    public byte? FallbackByte(string token) =>
        decoders.Any(decoder => decoder?.Text("type") == "ByteFallback") ? ByteFallbackStage.Byte(token) : null;

    private string? Token(int id) =>
        Added.Tokens.TryGetValue(id, out var added) ? added.Sought : id < Model.Tokens.Count ? Model.Tokens[id] : null;
}
