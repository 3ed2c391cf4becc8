namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>Fills weights in place, unrecorded.</summary>
        public static class init
        {
            /// <summary>Every element the same.</summary>
            public static Tensor constant_(Tensor tensor, Scalar val) => Unrecorded(() => tensor.fill_(val));

            /// <summary>Zeros.</summary>
            public static Tensor zeros_(Tensor tensor) => Unrecorded(() => tensor.zero_());

            /// <summary>Ones.</summary>
            public static Tensor ones_(Tensor tensor) => Unrecorded(() => tensor.fill_(1));

            /// <summary>A normal distribution.</summary>
            public static Tensor normal_(Tensor tensor, double mean = 0.0, double std = 1.0, Generator? generator = null) =>
                Unrecorded(() => tensor.normal_(mean, std, generator));

            /// <summary>A uniform distribution over [low, high).</summary>
            public static Tensor uniform_(Tensor tensor, double low = 0.0, double high = 1.0, Generator? generator = null) =>
                Unrecorded(() => tensor.uniform_(low, high, generator));

            private static Tensor Unrecorded(Func<Tensor> fill)
            {
                using var _ = no_grad();
                return fill();
            }
        }
    }
}
