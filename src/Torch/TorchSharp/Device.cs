namespace TorchSharp;

/// <summary>Kinds of device; the values are libtorch's own.</summary>
public enum DeviceType
{
    /// <summary>The processor.</summary>
    CPU = 0,
    /// <summary>A CUDA device.</summary>
    CUDA = 1,
}

public static partial class torch
{
    /// <summary>Where a tensor's memory lies.</summary>
    /// <param name="type">The kind of device.</param>
    /// <param name="index">Which of that kind; -1 is the current one.</param>
    public sealed class Device(DeviceType type, int index = -1) : IEquatable<Device>
    {
        /// <summary>Reads <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>.</summary>
        /// <param name="description">The text.</param>
        /// <exception cref="ArgumentException">It names no device.</exception>
        public Device(string description) : this(TypeOf(description), IndexOf(description))
        {
        }

        /// <summary>The kind of device.</summary>
        public DeviceType type { get; } = type;

        /// <summary>Which of that kind; -1 is the current one (and the CPU).</summary>
        public int index { get; } = type == DeviceType.CPU ? -1 : index;

        /// <inheritdoc/>
        public bool Equals(Device? other) => other is not null && type == other.type && index == other.index;

        /// <inheritdoc/>
        public override bool Equals(object? obj) => Equals(obj as Device);

        /// <inheritdoc/>
        public override int GetHashCode() => HashCode.Combine(type, index);

        /// <inheritdoc/>
        public override string ToString() => type.ToString().ToLowerInvariant() + (index >= 0 ? $":{index}" : "");

        private static DeviceType TypeOf(string description) => description.Split(':')[0] switch
        {
            "cpu" => DeviceType.CPU,
            "cuda" => DeviceType.CUDA,
            var other => throw new ArgumentException($"'{other}' is no device; cpu, cuda and cuda:0 are.", nameof(description)),
        };

        private static int IndexOf(string description) => description.Split(':') switch
        {
            [_] => -1,
            [_, var text] when int.TryParse(text, out var index) && index >= 0 => index,
            _ => throw new ArgumentException($"'{description}' is no device; cpu, cuda and cuda:0 are.", nameof(description)),
        };
    }

    /// <summary>The processor.</summary>
    public static readonly Device CPU = new(DeviceType.CPU);

    /// <summary>The current CUDA device.</summary>
    public static readonly Device CUDA = new(DeviceType.CUDA);

    /// <summary>A device from its text, such as <c>cuda:0</c>.</summary>
    public static Device device(string description) => new(description);

    /// <summary>A device from its kind and index.</summary>
    public static Device device(DeviceType type, int index = -1) => new(type, index);
}
