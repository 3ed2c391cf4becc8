// Shapes: G key-value heads, S positions, D head dimension, V vocabulary.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Inference.Paging;

/// <summary>A sequence whose prompt is read piece by piece, long pieces by the model.</summary>
internal sealed unsafe class PromptReading(
    LanguageModel model, PagedKeyValues memory, int capacity, IReadOnlyList<int> prompt, IReadOnlyList<int> continuation,
    PagedSequence sequence) : IDisposable
{
    /// <summary>Tokens read at a time, and in which beginnings of prompts are shared. A piece begins at a multiple of it whatever the
    /// prompt, so that its keys and values have the same bits in all.</summary>
    public const int Piece = 8 * BlockAllocator.BlockLength;

    private DecodingState? state;

    public IReadOnlyList<int> Prompt => prompt;

    public PagedSequence Sequence => sequence;

    /// <summary>Tokens that needed no reading.</summary>
    public int Shared { get; } = sequence.Length;

    public bool IsInPrompt => sequence.Length < prompt.Count;

    /// <summary>Whether what was read can be shared.</summary>
    public bool EndsPiece => sequence.Length % Piece == 0 && sequence.Length <= prompt.Count;

    public bool IsDone => sequence.Length == prompt.Count + continuation.Count;

    /// <summary>The tokens of the next piece.</summary>
    public IReadOnlyList<int> NextTokens()
    {
        int done = sequence.Length;
        return IsInPrompt ? [.. prompt.Skip(done).Take(Piece)] : [.. continuation.Skip(done - prompt.Count).Take(Piece)];
    }

    /// <summary>Gives the model what is known of the prompt, which making room for more may forget.</summary>
    public void PrepareModel()
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        state ??= NewState();
    }

    /// <summary>The prepared model reads a piece, for which there is room, and its keys and values are copied; the logits (V) are those of
    /// the last token.</summary>
    public void ReadByModel(IReadOnlyList<int> tokens, Span<float> logits)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor next = model.NextLogits(tensor([.. tokens.Select(id => (long)id)], [1, tokens.Count]), state!).contiguous(); // (1, V)
        for (int layer = 0; layer < model.Options.Stacks[0].Layers.Count; layer++)
            TakeOver(memory.Layer(layer), ((KeyValueCache)state!.Layer(layer).Mixer).Contents);
        sequence.Length += tokens.Count;
        next.data<float>().CopyTo(logits);
    }

    public void Dispose() => state?.Dispose();

    // With what is known of the prompt, appended as it was when it was read, so that what follows has the same bits.
    private DecodingState NewState()
    {
        // What a rolling cache keeps, and how, must not depend on the length of the prompt.
        DecodingState made = model.NewDecodingState(1, memory.Forgets ? Math.Max(capacity, model.ContextLength) : prompt.Count);
        for (int first = 0; first < sequence.Length; first += Piece)
        {
            for (int layer = 0; layer < model.Options.Stacks[0].Layers.Count; layer++)
            {
                (Tensor key, Tensor value) = Remembered(memory.Layer(layer), first);
                ((KeyValueCache)made.Layer(layer).Mixer).Append(key, value);
            }
            made.Advance(Piece);
        }
        return made;
    }

    // Keys and values of a piece, (1, G, Piece, D); zeros where they were forgotten, which nobody sees.
    private (Tensor Key, Tensor Value) Remembered(PagedLayer layer, int first)
    {
        (int groups, int width) = (layer.Shape.Groups, layer.Shape.HeadDim);
        BlockTable table = sequence.Tables[layer.Kind];
        Tensor keys = zeros(1, groups, Piece, width), values = zeros_like(keys);
        for (int i = 0; i < Piece; i++)
        {
            if (!table.Has(first + i)) continue;
            for (int group = 0; group < groups; group++)
            {
                int to = (group * Piece + i) * width;
                layer.Load(table.Slot(first + i), group, (float*)keys.DataPointer + to, (float*)values.DataPointer + to);
            }
        }
        return (keys, values);
    }

    private void TakeOver(PagedLayer layer, (Tensor Keys, Tensor Values, PositionSpan Positions) contents)
    {
        (Tensor keys, Tensor values, PositionSpan span) = contents; // (1, G, S, D), whose rows follow one another
        float* key = (float*)keys.DataPointer, value = (float*)values.DataPointer;
        BlockTable table = sequence.Tables[layer.Kind];
        for (int i = 0; i < span.Count; i++)
        {
            int position = i < span.Sinks ? i : span.Start + i - span.Sinks;
            if (position < sequence.Length || !table.Has(position)) continue; // known, or out of sight
            for (int group = 0; group < layer.Shape.Groups; group++)
                layer.Store(
                    table.Slot(position), group, key + group * keys.stride(1) + i * keys.stride(2),
                    value + group * values.stride(1) + i * values.stride(2));
        }
    }
}
