namespace Trainer.Kernels;

/// <summary>Functions that TorchSharp's native part calls and this libtorch lacks, by purpose.</summary>
/// <remarks>The system's loader binds a function on its first call, and ends the process if it is missing. So they are looked up before,
/// and those that this program does not need are ignored: libtorch 2.14 lacks 17 of 1,204.</remarks>
internal sealed class MissingSymbols
{
    private readonly List<string> needed = [], autograd = [], named = [];

    /// <summary>Takes <see cref="ElfLibrary.RequiredSymbols"/>, and whether some library has one.</summary>
    public MissingSymbols(IEnumerable<string> required, Func<string, bool> isThere)
    {
        foreach (var symbol in required)
            if (!isThere(symbol)) ListOf(symbol).Add(ElfLibrary.Readable(symbol));
    }

    /// <summary>Those without which nothing runs.</summary>
    public IReadOnlyList<string> Needed => needed;

    /// <summary>Those of operations with a backward pass in C#.</summary>
    public IReadOnlyList<string> AutogradFunctions => autograd;

    public string? Description
    {
        get
        {
            List<string> parts = [];
            if (autograd.Count > 0)
                parts.Add($"{autograd.Count} of backward passes in C#, which some models train with ({string.Join(", ", autograd)})");
            if (named.Count > 0) parts.Add($"{named.Count} of named tensors, which nothing here uses");
            return parts.Count == 0 ? null : $"functions of libtorch 2.10: {string.Join("; ", parts)}";
        }
    }

    private List<string> ListOf(string symbol) => IsOfNamedTensors(symbol) ? named : IsOfAutogradFunctions(symbol) ? autograd : needed;

    private static bool IsOfNamedTensors(string symbol) => symbol.Contains("Dimname") || symbol.Contains("_namesE");

    private static bool IsOfAutogradFunctions(string symbol) =>
        symbol.Contains("5torch8autograd") && !symbol.Contains("4gradE") && !symbol.Contains("8backwardE");
}
