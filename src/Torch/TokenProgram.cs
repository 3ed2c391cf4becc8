using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>A function that a <see cref="TokenProgram"/> applies to each number, by the shim's own numbering.</summary>
public enum TokenActivation
{
    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x·Φ(x).</summary>
    Gelu,

    /// <summary>GELU in its approximation by tanh.</summary>
    GeluTanh,

    /// <summary>x·sigmoid(x).</summary>
    Silu,

    /// <summary>max(x, 0)².</summary>
    SquaredRelu,

    /// <summary>sigmoid(x).</summary>
    Sigmoid,
}

/// <summary>A vector of a <see cref="TokenProgram"/>, one for each sequence.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Width">Its length.</param>
public readonly record struct TokenVector(long Id, int Width);

/// <summary>The way of one token through a model, step by step over vectors that stay in place, run by one call: on a CPU, calling an operation
/// for each step costs a small model more than its arithmetic.</summary>
/// <remarks>Steps run in the order in which they are added. They give what libtorch's operations give, to rounding, and the same bits every time and
/// for any number of threads. Weights and caches are held by reference, so that what is written to them counts. Not for several threads.</remarks>
public sealed class TokenProgram : IDisposable
{
    private readonly TokenProgramHandle handle;

    /// <summary>Begins a program.</summary>
    /// <param name="batch">Sequences side by side, B.</param>
    public TokenProgram(int batch)
    {
        Batch = batch;
        Native.Check(tn_token_program(batch, out nint created));
        handle = new(created);
    }

    /// <summary>Sequences side by side, B.</summary>
    public int Batch { get; }

    /// <summary>Room for numbers between steps.</summary>
    /// <param name="width">How many for each sequence.</param>
    public TokenVector Vector(int width)
    {
        Native.Check(tn_token_vector(handle, width, out long id));
        return new(id, width);
    }

    /// <summary>The tokens' rows of a table, times a factor.</summary>
    /// <param name="table">(V, C), float32 or in blocks of 8 bits</param>
    /// <param name="scale">The factor</param>
    /// <param name="to">(C)</param>
    public void Embed(torch.Tensor table, double scale, TokenVector to) => Native.Check(tn_token_embed(handle, table.handle, scale, to.Id));

    /// <summary>Adds the position's row of a table.</summary>
    /// <param name="table">(positions, C), float32</param>
    /// <param name="to">(C)</param>
    public void AddPlace(torch.Tensor table, TokenVector to) => Native.Check(tn_token_place(handle, table.handle, to.Id));

    /// <summary>The norm of a vector, or of heads side by side in it.</summary>
    /// <param name="from">What is read</param>
    /// <param name="to">What is written, at the same places; may be the same</param>
    /// <param name="weight">(width of a head), float32</param>
    /// <param name="bias">Likewise, or none</param>
    /// <param name="epsilon">Added to the variance or mean square</param>
    /// <param name="centred">Layer norm; else root-mean-square norm</param>
    /// <param name="heads">Which heads</param>
    public void Norm(TokenVector from, TokenVector to, torch.Tensor weight, torch.Tensor? bias, double epsilon, bool centred, TokenHeads? heads = null)
    {
        TokenHeads all = heads ?? new(0, 1, from.Width);
        Native.Check(tn_token_norm(handle, from.Id, to.Id, all.Start, all.Count, weight.handle, bias?.handle ?? TensorHandle.Null, epsilon, centred ? 1 : 0));
    }

    /// <summary>weight·x + bias.</summary>
    /// <param name="from">x, (K)</param>
    /// <param name="to">(N), another vector</param>
    /// <param name="weight">(N, K), float32; or bfloat16, and then x is rounded to it as well, and sums are float32, which may be packed
    /// (<see cref="ExponentPacking"/>); or in blocks of 8 bits (<see cref="BlockQuantization"/>), multiplied in float32</param>
    /// <param name="bias">(N), float32, or none</param>
    /// <param name="adds">Whether the result is added to what is there</param>
    public void Linear(TokenVector from, TokenVector to, torch.Tensor weight, torch.Tensor? bias, bool adds = false) =>
        Native.Check(tn_token_linear(handle, from.Id, to.Id, weight.handle, bias?.handle ?? TensorHandle.Null, adds ? 1 : 0));

    /// <summary>Turns pairs of numbers of the first heads in a vector by their position.</summary>
    /// <param name="vector">Changed in place</param>
    /// <param name="heads">The heads, from the vector's first number on</param>
    /// <param name="turned">How many numbers of each head are turned, its first ones, R</param>
    /// <param name="table">A row for each position: [cos | cos | −sin | sin] of R/2 each, or cos and sin of each pair in turn</param>
    /// <param name="neighbours">Whether pairs lie side by side, not half of R apart</param>
    public void Turn(TokenVector vector, TokenHeads heads, int turned, torch.Tensor table, bool neighbours) =>
        Native.Check(tn_token_turn(handle, vector.Id, heads.Count, heads.Width, turned, table.handle, neighbours ? 1 : 0));

    /// <summary>Writes the token's keys and values to a row, and attends to the rows up to it: softmax(scale·q·Kᵀ)·V.</summary>
    /// <param name="from">[H·D query | G·D key | G·D value]; H/G consecutive query heads share a key-value head</param>
    /// <param name="to">(H·D)</param>
    /// <param name="keys">(B, G, capacity, D), float32</param>
    /// <param name="values">Likewise</param>
    /// <param name="scale">Multiplies q·Kᵀ</param>
    /// <param name="row">Which row, (1), int64, as it stands when the program runs; null for the token's position</param>
    /// <param name="window">How many rows it sees, its own included</param>
    public void Attend(TokenVector from, TokenVector to, torch.Tensor keys, torch.Tensor values, double scale, torch.Tensor? row = null, long window = long.MaxValue) =>
        Native.Check(tn_token_attend(handle, from.Id, to.Id, keys.handle, values.handle, row?.handle ?? TensorHandle.Null, scale, window));

    /// <summary>f(x), or f(gate)·up.</summary>
    /// <param name="from">x (F), or [gate | up] (2F)</param>
    /// <param name="to">(F)</param>
    /// <param name="function">f</param>
    public void Activate(TokenVector from, TokenVector to, TokenActivation function) =>
        Native.Check(tn_token_activate(handle, from.Id, to.Id, (int)function));

    /// <summary>Adds a vector to another.</summary>
    /// <param name="from">What is added</param>
    /// <param name="to">What it is added to</param>
    public void Add(TokenVector from, TokenVector to) => Native.Check(tn_token_add(handle, from.Id, to.Id));

    /// <summary>x·scale, then bounded to cap·tanh(x / cap).</summary>
    /// <param name="vector">Changed in place</param>
    /// <param name="scale">The factor</param>
    /// <param name="cap">The bound; null for none</param>
    public void Bound(TokenVector vector, double scale, double? cap) => Native.Check(tn_token_bound(handle, vector.Id, scale, cap ?? 0));

    /// <summary>Runs the program.</summary>
    /// <param name="tokens">(B, 1), integers, on the CPU</param>
    /// <param name="position">Where they stand</param>
    /// <param name="result">The vector that is wanted</param>
    /// <returns>A copy of it, (B, width)</returns>
    /// <exception cref="TorchException">A token is outside the table, or the position outside a table or cache.</exception>
    public torch.Tensor Run(torch.Tensor tokens, int position, TokenVector result) =>
        Native.Own(tn_token_run(handle, tokens.handle, position, result.Id, out nint copy), copy);

    /// <summary>Lets go of weights and caches.</summary>
    public void Dispose() => handle.Dispose();
}

/// <summary>Heads side by side in a vector.</summary>
/// <param name="Start">Where the first begins.</param>
/// <param name="Count">How many.</param>
/// <param name="Width">Numbers in each.</param>
public readonly record struct TokenHeads(int Start, int Count, int Width);
