namespace Trainer.Data.HuggingFace;

/// <summary>Decodes with the stages of a file's decoder.</summary>
internal sealed class PipelineStreamingDecoder : StreamingDecoder
{
    private readonly Pipeline pipeline;
    private readonly CollectStage end = new();
    private readonly DecoderStage first;

    public PipelineStreamingDecoder(Pipeline pipeline)
    {
        this.pipeline = pipeline;
        first = pipeline.CreateDecoder(end);
    }

    public override string Push(int id)
    {
        if ((uint)id >= (uint)pipeline.Tokens.Count)
            throw new ArgumentOutOfRangeException(nameof(id), id, $"token ids of this vocabulary are 0 to {pipeline.Tokens.Count - 1}");
        if (pipeline.Tokens[id] is { } token)
            first.Push(token, begins: true);
        return end.Take();
    }

    public override string Flush()
    {
        first.Flush();
        return end.Take();
    }
}
